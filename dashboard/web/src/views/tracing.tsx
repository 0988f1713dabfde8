import { useSignal } from "@preact/signals";
import * as api from "../api";
import { copy } from "../actions";
import { clock, count, faultNames, text, time } from "../format";
import { isActive, limits, type Job } from "../store";
import type { Documents, Trace, Verdict } from "../types";
import { Card, Code, Empty, num, ScrollTable, Tile, Value } from "../ui/parts";
import { usePoll } from "../ui/poll";

/** What agents say of a job's requests, and the traces behind its percentiles. */
export function Tracing({ job }: { job: Job }) {
  const verdict = useSignal<Verdict | null>(null);
  const traces = useSignal<Trace[] | null>(null);
  const active = isActive(job.info.value.state);
  const told = limits.value.apm; // whether agents can tell the server anything
  const settled = verdict.value?.settled ?? !told;
  usePoll(
    async () => {
      traces.value = (await api.traces(job.name)).traces;
      if (told) verdict.value = await api.verdict(job.name);
    },
    active || !settled ? 2000 : 15_000,
    [job, active, settled, told],
  );
  return (
    <div class="tracing">
      {verdict.value && <Agents of={verdict.value} />}
      <Slowest traces={traces.value} />
    </div>
  );
}

const faults = Object.keys(faultNames) as (keyof Documents)[];

function Agents({ of: v }: { of: Verdict }) {
  const tasks = v.tasks.filter((t) => faults.some((f) => t[f] > 0));
  const known = faults.filter((f) => v[f] > 0);
  return (
    <Card title="What agents say" note={v.settled ? "final" : "so far"}>
      <p class="sum" role="status">
        <span class={v.ok ? "good" : known.length > 0 ? "bad" : "muted"}>{summary(v, known)}</span>
      </p>
      {v.doubts && v.doubts.length > 0 && (
        <div class="alert warn">
          <b>In doubt:</b>
          <ul>
            {v.doubts.map((d) => (
              <li key={d.why}>
                {d.why} ({d.fields.map((f) => faultNames[f] ?? f.replace(/_/g, " ")).join(", ")})
              </li>
            ))}
          </ul>
        </div>
      )}
      <dl class="tiles">
        <Tile label="Sent" of={count(v.sent)} note={`${text(count(v.sampled))} sampled`} title="Requests with a trace" />
        <Tile label="Found" of={count(v.found)} note={`${text(count(v.pending))} may come yet`} title="Requests that an agent has told of" />
        <Tile label="Missing" of={count(v.missing)} tone={v.missing > 0 ? "bad" : ""} note={`${text(count(v.late))} late`} />
        <Tile label="Errors recorded" of={count(v.error_docs)} note={`${text(count(v.expected_errors))} expected`} title="Error documents and exception events; a response of 500 and above is to have one" />
        <Tile label="Told after" of={time(v.delay.p50_s * 1000)} note={`p99 ${text(time(v.delay.p99_s * 1000))}`} title="From the response to the document that tells of it" />
      </dl>
      {known.length > 0 && (
        <ScrollTable label="Faults" class="faults" columns={["Task", ...known.map((f) => num(faultNames[f]!))]}>
          {tasks.map((t) => (
            <tr key={t.task}>
              <th scope="row" title={t.name && `Transactions are called ${t.name}`}>{t.task}</th>
              {known.map((f) => (
                <td key={f} class={`num ${t[f] > 0 ? "bad" : ""}`}>
                  <Value of={count(t[f])} />
                </td>
              ))}
            </tr>
          ))}
        </ScrollTable>
      )}
      {v.examples && v.examples.length > 0 && (
        <ScrollTable label="Examples" class="examples" columns={["Fault", "Task", "Sent", "Why", "Trace", { name: "Actions", hidden: true }]}>
          {v.examples.map((e) => (
            <tr key={e.fault + e.trace_id}>
              <th scope="row">{faultNames[e.fault] ?? e.fault.replace(/_/g, " ")}</th>
              <td>{e.task}</td>
              <td>{clock(Date.parse(e.start))}</td>
              <td>{e.why}</td>
              <td class="mono">{e.trace_id}</td>
              <td>
                <button type="button" class="small" aria-label={`Copy the request of trace ${e.trace_id} as curl`} onClick={() => void copy(e.curl)}>
                  curl
                </button>
              </td>
            </tr>
          ))}
        </ScrollTable>
      )}
    </Card>
  );
}

function summary(v: Verdict, known: (keyof Documents)[]): string {
  if (v.sent === 0) return "No request with a trace was sent yet.";
  if (v.ok) return "Every request was found, once and as it was sent.";
  if (known.length > 0) return known.map((f) => `${text(count(v[f]))} ${faultNames[f]}`).join(", ");
  return v.pending > 0 ? `Nothing is wrong; ${text(count(v.pending))} may come yet.` : "Nothing was found wrong.";
}

function Slowest({ traces }: { traces: Trace[] | null }) {
  return (
    <Card title="Traces" note="requests behind the percentiles of service time">
      {traces === null || traces.length === 0 ? (
        <Empty title={traces ? "None yet." : "Loading…"} />
      ) : (
        <ScrollTable label="Traces" class="traces" columns={["Percentile", num("Service time"), "Task", "Status", "Sent", "Trace"]}>
          {traces.map((t) => (
            <tr key={t.percentile}>
              <th scope="row">{t.percentile}</th>
              <td class="num"><Value of={time(t.service_ms)} /></td>
              <td>{t.task}</td>
              <td>
                {t.status > 0 && <Code code={t.status} />}
                {t.class && <span class="muted"> {t.class}</span>}
              </td>
              <td>{clock(Date.parse(t.time))}</td>
              <td class="mono">
                {t.url ? (
                  <a href={t.url} target="_blank" rel="noreferrer noopener">
                    {t.trace_id}
                  </a>
                ) : (
                  t.trace_id
                )}
              </td>
            </tr>
          ))}
        </ScrollTable>
      )}
    </Card>
  );
}
