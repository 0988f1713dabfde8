import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import * as api from "../api";
import { copyAsCurl, renew } from "../actions";
import { bytes, clock, count, date, percent, rate, text, time } from "../format";
import { toJobs, toScenario } from "../router";
import { Steering } from "../steer";
import { isActive, jobs, loaded, settingsIn, type Job } from "../store";
import type { JobView } from "../types";
import { Empty, StateBadge, Tile, Validity } from "../ui/parts";
import { usePoll } from "../ui/poll";
import { Charts } from "./charts";
import { elapsed, JobActions, target } from "./jobs";
import { SteeringPanel } from "./steering";
import { Changes, ErrorClasses, StatusCodes, Tasks } from "./tables";
import { Tracing } from "./tracing";

export function JobPage({ name }: { name: string }) {
  const job = jobs.value.get(name);
  if (!loaded.value) return <p class="loading muted">Loading…</p>;
  if (!job) {
    return (
      <Empty title={`There is no job “${name}”`}>
        <p>It was removed, or the server was restarted without it.</p>
        <p>
          <a href={toJobs}>All jobs</a>
        </p>
      </Empty>
    );
  }
  return <Page key={name} job={job} />;
}

function Page({ job }: { job: Job }) {
  const { state, revision } = job.info.value;
  const config = settingsIn(job.info.value);
  const active = isActive(state);
  const view = useSignal<JobView | null>(null);
  const steering = useMemo(() => new Steering(job.name), [job]);
  useEffect(() => void job.load(600), [job]);
  usePoll(
    async () => {
      const v = await api.job(job.name);
      view.value = v;
      job.snapshot.value = v.snapshot ?? null;
    },
    active ? 2000 : 15_000,
    [job, active, revision, job.info.value.next],
  );
  return (
    <>
      <nav class="crumbs" aria-label="Breadcrumb">
        <a href={toJobs}>Jobs</a> <span aria-hidden="true">/</span> <span>{job.name}</span>
      </nav>
      <div class="title">
        <div>
          <h1>{job.name}</h1>
          <Facts job={job} view={view.value} />
        </div>
        <div class="actions">
          <button type="button" onClick={() => copyAsCurl(config)}>
            Copy as curl
          </button>
          <JobActions job={job} large />
        </div>
      </div>
      <Trouble job={job} />
      <Tiles job={job} />
      <div class="columns">
        <div class="main">
          <Charts job={job} />
        </div>
        <div class="side">
          <SteeringPanel job={job} steering={steering} view={view.value} />
          <Changes job={job} />
        </div>
        <Tasks job={job} view={view.value} steering={steering} />
        <div class="pair">
          <StatusCodes snapshot={view.value?.snapshot} />
          <ErrorClasses snapshot={view.value?.snapshot} />
        </div>
        {config.trace && <Tracing job={job} />}
      </div>
    </>
  );
}

function Facts({ job, view }: { job: Job; view: JobView | null }) {
  const { state, reason, since, config } = job.info.value;
  return (
    <p class="facts">
      <StateBadge state={state} reason={reason} />
      <span title={`${state} since ${date(Date.parse(since))}`}>{elapsed(job)}</span>
      <a href={toScenario(config.scenario)}>{config.scenario}</a>
      <span class="mono">{target(config)}</span>
      {isActive(state) && view?.lease_ends && (
        <span class="warn">
          stops at {clock(Date.parse(view.lease_ends))} unless renewed{" "}
          <button type="button" class="link" onClick={() => renew(job.name)}>
            Renew
          </button>
        </span>
      )}
      <span class="muted">revision {job.info.value.revision}</span>
    </p>
  );
}

/** Why the job ended early, and why its numbers cannot be trusted. */
function Trouble({ job }: { job: Job }) {
  const { state, reason } = job.info.value;
  const s = job.stats.value;
  const invalid = s?.invalid ?? job.snapshot.value?.invalid ?? [];
  return (
    <>
      {state === "failed" && (
        <p class="alert bad" role="alert">
          <b>The job failed.</b> {reason}
        </p>
      )}
      {invalid.length > 0 && (
        <div class="alert warn">
          <b>These numbers say little about the target:</b> the generator was the limit.
          <ul>
            {invalid.map((why) => (
              <li key={why.split(":")[0]}>{why}</li>
            ))}
          </ul>
        </div>
      )}
    </>
  );
}

function Tiles({ job }: { job: Job }) {
  const { state, config } = job.info.value;
  const s = job.stats.value;
  const live = isActive(state);
  const never = state === "pending"; // run: nothing is known of it
  const total = never ? undefined : live ? s?.total : (job.snapshot.value ?? s?.total);
  const seconds = live ? s?.total.seconds : (job.snapshot.value?.offered_s ?? s?.total.seconds);
  const now = live ? s?.interval : undefined;
  const times = live ? now?.response : total?.response;
  const perSecond = live ? s?.interval.requests_per_s : seconds && total ? total.requests / seconds : null;
  const some = live ? now : total;
  return (
    <dl class="tiles">
      <Tile label={live ? "Requests now" : "Requests, mean"} of={rate(perSecond)} note={total && `${text(count(total.requests))} in all`} />
      <Tile label={live ? "Failed now" : "Failed"} of={percent(some?.failed_requests, some?.requests)} tone={some && some.failed_requests > 0 ? "bad" : ""} note={total && `${text(count(total.failed_requests))} in all`} />
      <Tile label="p50" of={time(times?.p50_ms)} title="Response time, from an iteration due to that iteration done" />
      <Tile label="p95" of={time(times?.p95_ms)} />
      <Tile label="p99" of={time(times?.p99_ms)} />
      <Tile label="Workers" of={live ? count(s?.vus) : count(config.workers)} note={live && s ? `${text(count(s.active))} in an iteration` : "asked for"} />
      <Tile label="Received" of={bytes(now && now.seconds > 0 ? now.bytes_received / now.seconds : live ? null : total?.bytes_received, live ? "/s" : "")} note={total && live && `${text(bytes(total.bytes_received))} in all`} />
      <div class="tile">
        <dt>Validity</dt>
        <dd>
          <Validity valid={never ? undefined : (s?.valid ?? job.snapshot.value?.valid)} invalid={s?.invalid ?? job.snapshot.value?.invalid} />
        </dd>
      </div>
    </dl>
  );
}
