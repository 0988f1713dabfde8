import type { Change, State } from "./types";

/** What stands for a value that is not known. */
export const unknown = "–";

const formats = new Map<number, Intl.NumberFormat>();

function fixed(x: number, digits: number): string {
  let format = formats.get(digits);
  if (!format) formats.set(digits, (format = new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits })));
  return format.format(x);
}

/** Three significant digits, but never fewer than all before the point. */
function short(x: number): string {
  const size = Math.abs(x);
  return fixed(x, size >= 99.95 || size === 0 ? 0 : size >= 9.995 ? 1 : 2);
}

export type Quantity = { value: string; unit: string };

const none: Quantity = { value: unknown, unit: "" };
const known = (x: number | null | undefined): x is number => x !== null && x !== undefined && Number.isFinite(x);

export function time(ms: number | null | undefined): Quantity {
  if (!known(ms)) return none;
  if (ms < 999.5) return { value: short(ms), unit: "ms" };
  if (ms < 59_995) return { value: short(ms / 1000), unit: "s" };
  return { value: duration(ms / 1000), unit: "" };
}

export function rate(perSecond: number | null | undefined, unit = "/s"): Quantity {
  return known(perSecond) ? { value: short(perSecond), unit } : none;
}

/** Counts are exact up to a million, and short beyond. */
export function count(n: number | null | undefined): Quantity {
  if (!known(n)) return none;
  if (n < 1e6) return { value: fixed(n, 0), unit: "" };
  return n < 1e9 ? { value: short(n / 1e6), unit: "M" } : { value: short(n / 1e9), unit: "G" };
}

export function bytes(n: number | null | undefined, per = ""): Quantity {
  if (!known(n)) return none;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 999.5 && i < units.length - 1) (n /= 1000), i++;
  return { value: i === 0 ? fixed(n, 0) : short(n), unit: units[i] + per };
}

/** A part of a whole in percent; unknown if there is no whole. */
export function percent(part: number | null | undefined, whole: number | null | undefined): Quantity {
  if (!known(part) || !known(whole) || whole <= 0) return none;
  const p = (100 * part) / whole;
  if (p > 0 && p < 0.01) return { value: "<0.01", unit: "%" };
  return { value: p === 0 || p === 100 ? fixed(p, 0) : p > 99.99 ? ">99.99" : fixed(p, p < 1 ? 2 : 1), unit: "%" };
}

export const text = (q: Quantity) => (q.unit === "" || q.unit === "%" ? q.value + q.unit : q.value + "\u00a0" + q.unit);

/** The label of a round number on an axis: 0.5 ms, not 0.50 ms. Only a fraction has one or two digits; after three it groups. */
export const tick = ({ value, unit }: Quantity) => text({ value: value.replace(/[.,]\d{1,2}$/, (fraction) => fraction.replace(/[.,]?0+$/, "")), unit });

/** Seconds as 1d 2h, 3m 20s or 12 s. */
export function duration(seconds: number | null | undefined): string {
  if (!known(seconds)) return unknown;
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  const s = Math.round(seconds * 10) / 10;
  if (s < 60) return `${Number.isInteger(s) ? s : s.toFixed(1)} s`;
  const parts: [number, string][] = [
    [Math.floor(s / 86_400), "d"],
    [Math.floor(s / 3600) % 24, "h"],
    [Math.floor(s / 60) % 60, "m"],
    [Math.floor(s) % 60, "s"],
  ];
  const from = parts.findIndex(([n]) => n > 0);
  return parts
    .slice(from, from + 2)
    .filter(([n], i) => i === 0 || n > 0)
    .map(([n, unit]) => n + unit)
    .join(" ");
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

/** The local time of day. */
export const clock = (ms: number) => clockFormat.format(ms);

/** The local date and time. */
export const date = (ms: number) => dateFormat.format(ms);

/** Iterations per second of a rate such as 100/s; undefined if it is none. */
export function parseRate(rate: string | undefined): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(?:\/(ms|s|m|min|h|d))?$/.exec(rate ?? "");
  if (!match) return undefined;
  const per = { ms: 0.001, s: 1, m: 60, min: 60, h: 3600, d: 86_400 }[match[2] ?? "s"] ?? 1;
  return Number(match[1]) / per;
}

/** The text of a number that a field holds. */
export const plain = (x: number) => (Number.isFinite(x) ? String(Math.round(x * 1e6) / 1e6) : "");

const fieldNames: Record<string, string> = {
  "variables.ERROR_WEIGHT": "error weight",
  "variables.APP_LATENCY_WEIGHT": "latency weight",
  "variables.APP_LATENCY_LABEL": "latency label",
  "variables.APP_LATENCY_LOWER_BOUND": "latency from",
  "variables.APP_LATENCY_UPPER_BOUND": "latency up to",
  url: "target",
};

export function fieldName(field: string): string {
  const [kind, name] = [field.split(".")[0]!, field.slice(field.indexOf(".") + 1)];
  if (fieldNames[field]) return fieldNames[field];
  if (kind === field) return field.replace(/_/g, " ");
  return kind === "variables" ? name : `${kind === "weights" ? "weight of" : kind} ${name}`;
}

function shown(field: string, value: unknown): string {
  if (value === null || value === undefined) return field === "rate" ? "none" : "default";
  if (field === "delay" || field === "duration" || field === "ramp_up") return duration(Number(value));
  if (field.endsWith("_BOUND")) return `${String(value)} ms`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** One change of a configuration as people say it: "workers 3 → 10". */
export const change = (c: Change) => `${fieldName(c.field)} ${shown(c.field, c.from)} → ${shown(c.field, c.to)}`;

export const stateName: Record<State, string> = {
  pending: "prepared",
  running: "running",
  stopping: "stopping",
  stopped: "stopped",
  finished: "finished",
  failed: "failed",
};

const reasons: Record<number, string> = {
  200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently", 302: "Found",
  303: "See Other", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
  403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
  413: "Content Too Large", 415: "Unsupported Media Type", 418: "I'm a Teapot", 422: "Unprocessable Content", 429: "Too Many Requests",
  500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
};

export const reasonOf = (code: number) => reasons[code] ?? "";

/** What a class of failures is. */
export const classNames: Record<string, string> = {
  dial: "Name look-up or connecting failed",
  tls: "TLS handshake or certificate",
  timeout: "No answer in time",
  reset: "The target closed a connection in use",
  protocol: "Not HTTP, too large, or too many redirects",
  check: "A response that was not as expected",
  task: "A task's own error",
  panic: "A task panicked",
};

/** What can be wrong with what agents say, by the count that the API has for it. */
export const faultNames: Record<string, string> = {
  missing: "missing",
  late: "late",
  duplicated: "duplicated",
  orphaned: "orphaned",
  wrong_name: "wrong name",
  wrong_outcome: "wrong outcome",
  too_long: "too long",
  broken: "broken traces",
  wrong_sampled: "wrongly sampled",
  untracked: "not tracked",
};
