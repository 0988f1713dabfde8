import type { Interval, Numbers, StatsEvent, Times } from "./types";

/** How many points are kept: ten minutes and a little. */
const most = 660;
/** A gap of more seconds between two points is shown as one. */
const gap = 3.5;

const classes = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"] as const;
const columns = [
  ...classes,
  "requests", "failed", "iterations",
  "responseP50", "responseP95", "responseP99", "serviceP50", "serviceP95", "serviceP99",
  "workers", "vus", "active",
] as const;

export type Column = (typeof columns)[number];
type Cell = number | null;

/** The last minutes of a run, column by column, as the charts take them. */
export class Series {
  time: number[] = []; // seconds since 1970, of the server's clock
  readonly data = Object.fromEntries(columns.map((c) => [c, []])) as unknown as Record<Column, Cell[]>;

  clear() {
    this.time = [];
    for (const c of columns) this.data[c] = [];
  }

  get last(): number | undefined {
    return this.time.at(-1);
  }

  stats(s: StatsEvent) {
    this.add(Date.parse(s.time) / 1000, s.interval, s.workers, s.vus, s.active);
  }

  /** Takes over the API's history; of what the stream has told, the rest stays. */
  history(intervals: Interval[]) {
    if (intervals.length === 0) return;
    const { time, data } = { time: this.time, data: { ...this.data } };
    const from = Date.parse(intervals[0]!.time) / 1000 - 0.25;
    const to = Date.parse(intervals.at(-1)!.time) / 1000 + 0.25;
    const keep = (among: (at: number) => boolean) => {
      time.forEach((at, i) => {
        if (!among(at) || data.requests[i] === null) return;
        this.gap(at);
        this.time.push(at);
        for (const c of columns) this.data[c].push(data[c][i] ?? null);
      });
    };
    this.clear();
    keep((at) => at < from);
    for (const i of intervals) this.add(Date.parse(i.time) / 1000, i, i.workers, i.vus, i.active);
    keep((at) => at > to);
    this.trim();
  }

  private add(at: number, n: Pick<Numbers, "seconds" | "requests" | "failed_requests" | "iterations" | "status" | "service" | "response">, workers: number, vus: number, active: number) {
    if (this.last !== undefined && at <= this.last) return;
    this.gap(at);
    const per = (x: number | undefined) => (n.seconds > 0 ? (x ?? 0) / n.seconds : null);
    this.time.push(at);
    for (const c of classes) this.data[c].push(per(n.status[c]));
    this.data.requests.push(per(n.requests));
    this.data.failed.push(per(n.failed_requests));
    this.data.iterations.push(per(n.iterations));
    const times = (t: Times, p50: Column, p95: Column, p99: Column) => {
      this.data[p50].push(t.p50_ms);
      this.data[p95].push(t.p95_ms);
      this.data[p99].push(t.p99_ms);
    };
    times(n.response, "responseP50", "responseP95", "responseP99");
    times(n.service, "serviceP50", "serviceP95", "serviceP99");
    this.data.workers.push(workers);
    this.data.vus.push(vus);
    this.data.active.push(active);
    this.trim();
  }

  private gap(at: number) {
    if (this.last === undefined || at - this.last <= gap) return;
    this.time.push(this.last + 0.001);
    for (const c of columns) this.data[c].push(null);
  }

  private trim() {
    if (this.time.length < 2 * most) return;
    this.time = this.time.slice(-most);
    for (const c of columns) this.data[c] = this.data[c].slice(-most);
  }
}
