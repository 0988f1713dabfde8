import { useComputed, useSignal } from "@preact/signals";
import { active, overlay, startAgain, startPending, stop } from "../actions";
import { count, duration, percent, rate, time, type Quantity } from "../format";
import { toJob } from "../router";
import { isActive, jobs, limits, loaded, names, serverNow, settingsIn, type Job } from "../store";
import type { Config } from "../types";
import { Empty, num, StateBadge, Table, Tile, Validity, Value } from "../ui/parts";
import { Sparkline } from "../ui/sparkline";

const columns = [
  "Job", "State", num("Workers"), num("Requests"), "Last minute", num("Failed"),
  num("p50", "Response time, from an iteration due to that iteration done"), num("p95"), num("p99"), "Validity", { name: "Actions", hidden: true },
];

/** All jobs at a glance. */
export function Jobs() {
  const filter = useSignal("");
  const shown = useComputed(() => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    return names.value.filter((name) => {
      const { config, state } = jobs.value.get(name)!.info.value;
      const text = `${name} ${config.scenario} ${config.url} ${state}`.toLowerCase();
      return words.every((w) => text.includes(w));
    });
  });
  if (!loaded.value) return <p class="loading muted">Loading…</p>;
  if (names.value.length === 0) {
    return (
      <Empty title="No jobs yet">
        <p>A job sends the requests of a scenario to a target. Start one here, or over the API.</p>
        <p>
          <button type="button" class="primary" onClick={() => (overlay.value = { what: "start" })}>
            Start a job
          </button>
        </p>
      </Empty>
    );
  }
  return (
    <>
      <Summary />
      <div class="bar">
        <h1>Jobs</h1>
        <div class="tools">
          <input id="filter" type="search" placeholder="Filter" aria-label="Filter jobs by name, scenario, target or state" value={filter.value} onInput={(e) => (filter.value = e.currentTarget.value)} />
          <button type="button" class="stop-all" disabled={active().length === 0} onClick={() => (overlay.value = { what: "stop-all" })}>
            Stop all
          </button>
        </div>
      </div>
      <div class="card flush">
        <Table class="jobs" columns={columns}>
          {shown.value.map((name) => (
            <Row key={name} job={jobs.value.get(name)!} />
          ))}
        </Table>
        {shown.value.length === 0 && <Empty title="No job fits the filter" />}
      </div>
    </>
  );
}

function Summary() {
  const running = [...jobs.value.values()].filter((j) => isActive(j.info.value.state));
  let requests: number | null = null;
  let failed = 0;
  let workers = 0;
  for (const job of running) {
    const s = job.stats.value;
    if (!s) continue;
    requests = (requests ?? 0) + s.interval.requests_per_s;
    failed += s.interval.seconds > 0 ? s.interval.failed_requests / s.interval.seconds : 0;
    workers += s.vus;
  }
  return (
    <dl class="tiles summary">
      <Tile label="Running" of={count(running.length)} note={`of ${jobs.value.size}${most(limits.value.max_jobs)}`} />
      <Tile label="Requests now" of={rate(running.length ? requests : 0)} note={most(limits.value.max_rate)} />
      <Tile label="Failures now" of={requests === null ? count(null) : rate(failed)} tone={failed > 0 ? "bad" : ""} />
      <Tile label="Workers" of={running.length && requests === null ? count(null) : count(workers)} note={most(limits.value.max_workers)} />
    </dl>
  );
}

const most = (limit: number | string | undefined) => (limit === undefined ? "" : ` at most ${limit}`);

/** The target as people tell them apart: without the scheme, where it is plain. */
export const target = (config: Config) => config.url.replace(/^http:\/\//, "").replace(/\/$/, "");

function Row({ job }: { job: Job }) {
  const { state, reason } = job.info.value;
  const config = settingsIn(job.info.value);
  const s = job.stats.value;
  const total = job.snapshot.value;
  const live = isActive(state);
  // Of a job that has ended the numbers of its whole run are shown.
  const times = live ? s?.interval.response : (total ?? s?.total)?.response;
  const requests = live ? rate(s?.interval.requests_per_s) : average(total, s?.total);
  const counts = live ? s?.interval : (total ?? s?.total);
  const failed: Quantity = percent(counts?.failed_requests, counts?.requests);
  const valid = s && live ? s.valid : (total?.valid ?? s?.valid);
  return (
    <tr class={live ? "" : "ended"}>
      <th scope="row" class="job">
        <a href={toJob(job.name)} title={job.name}>
          {job.name}
        </a>
        <span class="muted" title={`${config.scenario} → ${config.url}`}>
          {config.scenario} <span aria-hidden="true">→</span> {target(config)}
        </span>
      </th>
      <td class="state-cell">
        <StateBadge state={state} reason={reason} />
      </td>
      <td class="num" data-label="Workers">
        <Value of={live ? count(s?.vus) : count(config.workers)} />
        {live && s && s.vus !== s.workers && !config.rate && <span class="unit"> of {s.workers}</span>}
      </td>
      <td class="num rate" data-label="Requests">
        <Value of={requests} />
      </td>
      <td class="spark">
        <Sparkline job={job} />
      </td>
      <td class={`num ${counts && counts.failed_requests > 0 ? "bad" : ""}`} data-label="Failed">
        <Value of={failed} />
      </td>
      <td class="num" data-label="p50">
        <Value of={time(times?.p50_ms)} />
      </td>
      <td class="num" data-label="p95">
        <Value of={time(times?.p95_ms)} />
      </td>
      <td class="num" data-label="p99">
        <Value of={time(times?.p99_ms)} />
      </td>
      <td class="validity" data-label="Validity">
        <Validity valid={state === "pending" ? undefined : valid} invalid={s?.invalid ?? total?.invalid} />
      </td>
      <td class="actions">
        <div>
          <JobActions job={job} />
        </div>
      </td>
    </tr>
  );
}

const average = (total: Job["snapshot"]["value"], s: { requests: number; seconds: number } | undefined): Quantity => {
  const seconds = total?.offered_s ?? s?.seconds;
  const requests = total?.requests ?? s?.requests;
  const q = rate(seconds && requests !== undefined ? requests / seconds : null);
  return q.unit ? { value: "⌀ " + q.value, unit: q.unit } : q;
};

/** Start or stop, duplicate and remove. */
export function JobActions({ job, large = false }: { job: Job; large?: boolean }) {
  const { state } = job.info.value;
  const config = settingsIn(job.info.value);
  const live = isActive(state);
  const size = large ? "" : "small";
  return (
    <>
      {live ? (
        <button type="button" class={size} disabled={state === "stopping"} aria-label={`Stop ${job.name}`} onClick={() => stop(job.name)}>
          Stop
        </button>
      ) : (
        <button type="button" class={size} aria-label={`Start ${job.name}${state === "pending" ? "" : " again"}`} onClick={() => (state === "pending" ? startPending(job.name) : startAgain(config))}>
          {state === "pending" || !large ? "Start" : "Start again"}
        </button>
      )}
      <button type="button" class={large ? "" : "icon"} aria-label={`Duplicate ${job.name}`} title="Duplicate" onClick={() => (overlay.value = { what: "start", from: config })}>
        {large ? "Duplicate" : <Icon path="M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z" />}
      </button>
      <button type="button" class={large ? "quiet" : "icon"} disabled={live} aria-label={`Remove ${job.name}`} title={live ? "Stop it first" : "Remove"} onClick={() => (overlay.value = { what: "remove", job: job.name })}>
        {large ? "Remove" : <Icon path="M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.6 9h6.8l.6-9M6.7 7v4M9.3 7v4" />}
      </button>
    </>
  );
}

const Icon = ({ path }: { path: string }) => (
  <svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.2" stroke-linejoin="round" stroke-linecap="round" aria-hidden="true">
    <path d={path} />
  </svg>
);

/** How long a job has run, and how long it will. */
export function elapsed(job: Job): string {
  const { state, since, config } = job.info.value;
  const s = job.stats.value;
  const total = job.snapshot.value;
  const seconds = s?.total.seconds ?? total?.elapsed_s;
  if (state === "pending") return "not started";
  if (seconds === undefined) return `since ${duration((serverNow() - Date.parse(since)) / 1000)}`;
  const whole = config.duration > 0 && config.duration < 300 * 86_400 ? ` of ${duration(config.duration)}` : "";
  return `${duration(Math.floor(seconds))}${whole}`;
}
