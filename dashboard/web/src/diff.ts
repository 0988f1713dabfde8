import type { Change, Config } from "./types";

/** The fields that differ between two configurations, as the API's history names them. */
export function changesOf(before: Config, after: Config): Change[] {
  const was = flat(before);
  const is = flat(after);
  return [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .sort()
    .filter((field) => JSON.stringify(was[field]) !== JSON.stringify(is[field]))
    .map((field) => ({ field, from: was[field] ?? null, to: is[field] ?? null }));
}

function flat(config: Config): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(config)) {
    if (value !== null && typeof value === "object" && !Array.isArray(value)) {
      for (const [name, inner] of Object.entries(value)) all[`${field}.${name}`] = inner;
    } else {
      all[field] = value;
    }
  }
  return all;
}

/** A mark on the charts: what was changed at a time. */
export interface Mark {
  time: number; // seconds since 1970
  revision: number;
  changes: Change[];
}

/** Changes within so many seconds are one: a drag of a slider, not each of its steps. */
const together = 1.5;

/** Adds a revision to the marks, the oldest first. */
export function mark(marks: Mark[], next: Mark, most = 200): Mark[] {
  if (next.changes.length === 0) return marks;
  const last = marks.at(-1);
  if (!last || next.time - last.time > together) return [...marks, next].slice(-most);
  const changes = new Map(last.changes.map((c) => [c.field, c]));
  for (const c of next.changes) changes.set(c.field, { ...c, from: changes.has(c.field) ? changes.get(c.field)!.from : c.from });
  const left = [...changes.values()].filter((c) => JSON.stringify(c.from) !== JSON.stringify(c.to));
  return [...marks.slice(0, -1), ...(left.length ? [{ time: next.time, revision: next.revision, changes: left }] : [])];
}
