import { batch, computed, signal, type Signal } from "@preact/signals";
import * as api from "./api";
import { changesOf, mark, type Mark } from "./diff";
import { Series } from "./series";
import type { JobEvent, JobView, Limits, Snapshot, State, StatsEvent, Config } from "./types";

/** A job as the page knows it. What changes each second is in signals of its own. */
export class Job {
  readonly info: Signal<JobEvent>;
  readonly stats = signal<StatsEvent | null>(null);
  readonly snapshot = signal<Snapshot | null>(null); // of the API, when asked for
  readonly marks = signal<Mark[]>([]);
  readonly drawn = signal(0); // grows when charts have something new to show
  readonly series = new Series();
  private started = ""; // of the run that the series is of
  private asked = 0; // intervals of history that were asked for

  constructor(info: JobEvent) {
    this.info = signal(info);
  }

  get name() {
    return this.info.peek().job;
  }

  event(e: JobEvent) {
    const before = this.info.peek();
    this.info.value = e;
    if (e.revision > before.revision && before.state !== "pending") {
      this.marks.value = mark(this.marks.peek(), { time: serverNow() / 1000, revision: e.revision, changes: changesOf(before.config, e.config) });
    } else if (e.revision < before.revision) {
      this.marks.value = [];
    }
    this.drawn.value++;
  }

  interval(s: StatsEvent) {
    if (this.run(s.started)) void this.load(60);
    this.series.stats(s);
    this.stats.value = s;
    this.drawn.value++;
  }

  /** Forgets what is of an earlier run; tells whether this is another. */
  private run(started: string) {
    if (this.started === started) return false;
    const another = this.started !== "";
    this.started = started;
    if (another) {
      this.series.clear();
      this.marks.value = [];
      this.stats.value = null;
      this.snapshot.value = null;
    }
    this.asked = 0;
    return true;
  }

  /** Fetches the last intervals, once, for a page that was opened late. */
  async load(last: number) {
    if (this.asked >= last) return;
    this.asked = last;
    try {
      const h = await api.history(this.name, last);
      if (h.started) this.run(h.started);
      this.asked = Math.max(this.asked, last);
      this.series.history(h.intervals);
      let marks: Mark[] = [];
      const told = h.revisions.at(-1)?.revision ?? 1;
      const since = this.marks.peek().filter((m) => m.revision > told); // while the answer was on its way
      for (const r of h.revisions) marks = mark(marks, { time: Date.parse(r.time) / 1000, revision: r.revision, changes: r.changes });
      batch(() => {
        this.marks.value = [...marks, ...since];
        this.drawn.value++;
      });
    } catch {
      this.asked = 0; // another time
    }
  }

  /** What the next reconnection has to fetch again. */
  stale() {
    this.asked = 0;
  }
}

export const jobs = signal<ReadonlyMap<string, Job>>(new Map());
export const names = computed(() => [...jobs.value.keys()].sort((a, b) => a.localeCompare(b, undefined, { numeric: true })));

/** Whether the first list of jobs has come. */
export const loaded = signal(false);

/** The settings that a job has, or will have at its next start. */
export const settingsIn = (info: JobEvent): Config => info.next ?? info.config;

/** What all jobs together may do. */
export const limits = signal<Limits>({});

export const isActive = (state: State) => state === "running" || state === "stopping";

let skew = 0; // of the server's clock against this one, in ms
export const serverNow = () => Date.now() + skew;

export function jobEvent(e: JobEvent) {
  const job = jobs.peek().get(e.job);
  if (e.removed) {
    if (!job) return;
    const rest = new Map(jobs.peek());
    rest.delete(e.job);
    jobs.value = rest;
  } else if (job) {
    job.event(e);
  } else {
    jobs.value = new Map(jobs.peek()).set(e.job, new Job(e));
  }
}

export function statsEvent(s: StatsEvent) {
  skew = Date.parse(s.time) - Date.now();
  jobs.peek().get(s.job)?.interval(s);
}

/** Takes the API's list as the truth: jobs that it does not have are gone. */
export function setJobs(list: JobView[]) {
  const there = new Map<string, Job>();
  for (const { job: name, config, next, state, reason, since, revision } of list) {
    const info: JobEvent = { job: name, config, state, since, revision, ...(reason === undefined ? {} : { reason }), ...(next === undefined ? {} : { next }) };
    const job = jobs.peek().get(name);
    if (job) job.event(info);
    there.set(name, job ?? new Job(info));
  }
  jobs.value = there;
}
