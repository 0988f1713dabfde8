import { useSignal } from "@preact/signals";
import { change, classNames, clock, count, percent, reasonOf, text, time, unknown } from "../format";
import { linear } from "../scale";
import type { Steering } from "../steer";
import { settingsIn, type Job } from "../store";
import type { JobView, Snapshot, Task, TaskTotals } from "../types";
import { Card, Code, Empty, num, ScrollTable, Share, Value, type Column } from "../ui/parts";
import { SteerControl } from "../ui/steer-control";

type Row = { name: string; task: Task | undefined; totals: TaskTotals | undefined };
type Key = "order" | "name" | "weight" | "iterations" | "failed" | "p50" | "p95" | "p99" | "max";

const keys: Record<Key, (r: Row) => number | string> = {
  order: () => 0,
  name: (r) => r.name,
  weight: (r) => -(r.task?.weight ?? -1),
  iterations: (r) => -(r.totals?.iterations ?? -1),
  failed: (r) => -(r.totals?.failed_iterations ?? -1),
  p50: (r) => -(r.totals?.response.p50_ms ?? -1),
  p95: (r) => -(r.totals?.response.p95_ms ?? -1),
  p99: (r) => -(r.totals?.response.p99_ms ?? -1),
  max: (r) => -(r.totals?.response.max_ms ?? -1),
};

/** The tasks: how often each is picked, which can be changed, and how it fares. */
export function Tasks({ job, view, steering }: { job: Job; view: JobView | null; steering: Steering }) {
  const by = useSignal<Key>("order");
  const overrides = settingsIn(job.info.value).weights ?? {};
  const totals = new Map((view?.snapshot?.tasks ?? []).map((t) => [t.task, t]));
  const tasks = view?.effective?.tasks ?? [];
  const rows: Row[] = [
    ...tasks.map((task) => ({ name: task.task, task, totals: totals.get(task.task) })),
    ...[...totals.values()].filter((t) => !tasks.some((task) => task.task === t.task)).map((t) => ({ name: t.task, task: undefined, totals: t })),
  ];
  const top = Math.max(...tasks.map((t) => t.share), 1e-9);
  const key = keys[by.value];
  if (by.value !== "order") rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
  const head = (k: Key, name: string, title?: string): Column => ({
    name,
    ...(title ? { title } : {}),
    num: k !== "name" && k !== "weight",
    sort: { by: by.value !== k ? "none" : k === "name" ? "ascending" : "descending", toggle: () => (by.value = by.value === k ? "order" : k) },
  });
  const columns = [
    head("name", "Task"),
    head("weight", "Weight"),
    num("Share"),
    head("iterations", "Iterations"),
    head("failed", "Failed"),
    head("p50", "p50", "Response time, from an iteration due to that iteration done"),
    head("p95", "p95"),
    head("p99", "p99"),
    head("max", "Max"),
    "Status",
  ];
  const stopping = job.info.value.state === "stopping";
  return (
    <Card title="Tasks" note={tasks.length > 0 ? `${tasks.filter((t) => t.weight > 0).length} of ${tasks.length} are picked` : ""}>
      {rows.length === 0 ? (
        <Empty title={view ? "The scenario cannot be read, so its tasks are not known." : "Loading…"} />
      ) : (
        <ScrollTable label="Tasks" class="tasks" columns={columns}>
          {rows.map(({ name, task, totals: t }) => (
            <tr key={name} class={task && task.weight > 0 ? "" : "idle"}>
              <th scope="row">{name}</th>
              <td class="weight">
                {task ? (
                  <div>
                    <SteerControl
                      compact
                      steering={steering}
                      control={`weights.${name}`}
                      field={`weights.${name}`}
                      label={`Weight of ${name}`}
                      value={overrides[name] ?? task.weight}
                      scale={(v) => linear(v, 0, 20, 0.5)}
                      patch={(w) => ({ weights: { [name]: w } })}
                      disabled={stopping}
                    />
                    <button
                      type="button"
                      class={`icon reset ${name in overrides ? "" : "gone"}`}
                      disabled={!(name in overrides)}
                      aria-label={`Reset the weight of ${name} to the scenario's`}
                      title="Back to the scenario's weight"
                      onClick={() => {
                        steering.set(`reset.${name}`, "", { weights: { [name]: null } });
                        steering.drop(`weights.${name}`);
                      }}
                    >
                      ↺
                    </button>
                  </div>
                ) : (
                  <span class="muted">not in the scenario</span>
                )}
              </td>
              <td class="num">
                <Share of={(task?.share ?? 0) / top} />
                <Value of={percent(task?.share, 1)} />
              </td>
              <td class="num">
                <Value of={count(t?.iterations)} />
              </td>
              <td class={`num ${t && t.failed_iterations > 0 ? "bad" : ""}`}>
                <Value of={count(t?.failed_iterations)} />
              </td>
              <td class="num"><Value of={time(t?.response.p50_ms)} /></td>
              <td class="num"><Value of={time(t?.response.p95_ms)} /></td>
              <td class="num"><Value of={time(t?.response.p99_ms)} /></td>
              <td class="num"><Value of={time(t?.response.max_ms)} /></td>
              <td class="codes">{t ? <Codes of={t} /> : unknown}</td>
            </tr>
          ))}
        </ScrollTable>
      )}
    </Card>
  );
}

/** Whether every status of a task was as its scenario expects it. */
const asExpected = (t: TaskTotals) => !t.errors.check;

function Codes({ of }: { of: TaskTotals }) {
  const codes = Object.keys(of.status);
  if (codes.length === 0) return <>{unknown}</>;
  return (
    <>
      {codes.map((code) => (
        <Code key={code} code={code} expected={asExpected(of)}>
          {codes.length > 1 && <i> {text(count(of.status[code]))}</i>}
        </Code>
      ))}
    </>
  );
}

/** How many responses of a status were expected: all, some, or none; of those below 400 it does not matter. */
function expectation(code: string, tasks: TaskTotals[]): string {
  if (Number(code) < 400) return "";
  const having = tasks.filter((t) => (t.status[code] ?? 0) > 0);
  const expected = having.filter(asExpected);
  if (having.length === 0 || expected.length === 0) return "";
  return expected.length === having.length ? "expected" : "partly expected";
}

export function StatusCodes({ snapshot }: { snapshot: Snapshot | undefined }) {
  const codes = Object.entries(snapshot?.status ?? {});
  return (
    <Card title="Status codes" note="since the start">
      {codes.length === 0 ? (
        <Empty title={snapshot ? "No responses yet." : "Loading…"} />
      ) : (
        <ScrollTable label="Status codes" columns={["Status", num("Requests"), num("Share"), { name: "Expected", hidden: true }]}>
          {codes.map(([code, n]) => (
            <tr key={code}>
              <th scope="row">
                <Code code={code} expected={expectation(code, snapshot!.tasks) === "expected"} /> <span class="muted">{reasonOf(Number(code))}</span>
              </th>
              <td class="num"><Value of={count(n)} /></td>
              <td class="num">
                <Share of={n / snapshot!.requests} />
                <Value of={percent(n, snapshot!.requests)} />
              </td>
              <td class="muted">{expectation(code, snapshot!.tasks)}</td>
            </tr>
          ))}
        </ScrollTable>
      )}
    </Card>
  );
}

export function ErrorClasses({ snapshot }: { snapshot: Snapshot | undefined }) {
  const errors = Object.entries(snapshot?.errors ?? {}).sort((a, b) => b[1].count - a[1].count);
  return (
    <Card title="Failures" note="since the start">
      {errors.length === 0 ? (
        <Empty title={snapshot ? "No failures." : "Loading…"} />
      ) : (
        <ScrollTable label="Failures" class="errors" columns={["Class", num("Count"), "One of them"]}>
          {errors.map(([name, e]) => (
            <tr key={name}>
              <th scope="row" title={classNames[name]}>{name}</th>
              <td class="num bad"><Value of={count(e.count)} /></td>
              <td class="mono">{e.sample || unknown}</td>
            </tr>
          ))}
        </ScrollTable>
      )}
    </Card>
  );
}

/** What was changed while the job ran, the newest first. */
export function Changes({ job }: { job: Job }) {
  const marks = [...job.marks.value].reverse().slice(0, 50);
  return (
    <Card title="Changes" note={marks.length > 0 ? `revision ${job.info.value.revision}` : ""}>
      {marks.length === 0 ? (
        <Empty title="Nothing was changed in this run." />
      ) : (
        <ol class="changes">
          {marks.map((m) => (
            <li key={m.revision}>
              <time>{clock(m.time * 1000)}</time>
              <span>{m.changes.map(change).join(", ")}</span>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}
