import { useMemo } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { count, rate, time } from "../format";
import { Segmented } from "../ui/parts";
import { Chart, type Line } from "../ui/chart";
import type { Column } from "../series";
import type { Job } from "../store";
import { DistributionChart } from "./distribution";

const spans = [["60", "1 min"], ["300", "5 min"], ["600", "10 min"]] as const;

const classes: [label: string, columns: Column[], colour: string][] = [
  ["2xx", ["2xx"], "s2xx"],
  ["1xx, 3xx", ["1xx", "3xx"], "s3xx"],
  ["4xx", ["4xx"], "s4xx"],
  ["5xx", ["5xx", "other"], "s5xx"],
];

const sum = (job: Job, columns: Column[]) => {
  const [first, ...rest] = columns.map((c) => job.series.data[c]);
  return rest.length === 0 ? first! : first!.map((x, i) => (x === null ? null : rest.reduce((all, more) => all + (more[i] ?? 0), x)));
};

/** Without zeros that have only zeros beside them: a red line is to be seen where something fails. */
const worthALine = (values: (number | null)[]) => values.map((x, i) => (x || values[i - 1] || values[i + 1] ? x : null));

/** The rate by class, each class upon those before it, and the failures. */
const rateLines: Line[] = [
  ...classes.map(([label, columns, colour], i): Line => ({
    label,
    colour,
    fill: `${colour}-fill`,
    area: true,
    values: (job) => sum(job, classes.slice(0, i + 1).flatMap(([, c]) => c)),
    shown: (job) => sum(job, columns),
  })),
  { label: "failed", colour: "bad", dash: [5, 3], values: (job) => worthALine(job.series.data.failed), shown: (job) => job.series.data.failed },
];

const column = (label: string, c: Column, colour: string, dash?: number[]): Line => ({ label, colour, values: (job) => job.series.data[c], ...(dash ? { dash } : {}) });

const response = [column("p99", "responseP99", "p99"), column("p95", "responseP95", "p95"), column("p50", "responseP50", "p50")];
const service = [column("p99", "serviceP99", "p99"), column("p95", "serviceP95", "p95"), column("p50", "serviceP50", "p50")];
const both = [
  ...response.map((l) => ({ ...l, label: `response ${l.label}` })),
  ...service.map((l) => ({ ...l, label: `service ${l.label}`, dash: [2, 3] })),
];
const workers = [column("in an iteration", "active", "accent"), column("exist", "vus", "s3xx"), column("asked for", "workers", "muted", [5, 3])];

export function Charts({ job }: { job: Job }) {
  const span = useSignal<(typeof spans)[number][0]>("300");
  const of = useSignal<"response" | "service" | "both">("response");
  const scale = useSignal<"linear" | "log">("linear");
  const seconds = Number(span.value);
  const times = useMemo(() => ({ response, service, both })[of.value], [of.value]);
  return (
    <>
      <div class="bar">
        <h2>Charts</h2>
        <Segmented label="Time span" value={span.value} options={spans} onChange={(v) => (span.value = v)} />
      </div>
      <div class="charts">
        <Chart job={job} title="Requests per second" lines={rateLines} format={(x) => rate(x)} span={seconds} />
        <Chart job={job} title={of.value === "service" ? "Service time" : of.value === "both" ? "Response and service time" : "Response time"} lines={times} format={time} span={seconds} log={scale.value === "log"}>
          <Segmented label="Which times" value={of.value} options={[["response", "Response"], ["service", "Service"], ["both", "Both"]]} onChange={(v) => (of.value = v)} />
          <Segmented label="Scale" value={scale.value} options={[["linear", "Linear"], ["log", "Log"]]} onChange={(v) => (scale.value = v)} />
        </Chart>
        <Chart job={job} title="Workers" lines={workers} format={count} span={seconds} whole />
        <DistributionChart job={job} />
      </div>
    </>
  );
}
