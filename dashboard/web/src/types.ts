// What the API and the stream send; docs/openapi.yaml describes all of it.

export type State = "pending" | "running" | "stopping" | "stopped" | "finished" | "failed";

export interface Config {
  job: string;
  scenario: string;
  url: string;
  service_name?: string;
  workers: number;
  max_workers?: number;
  delay: number;
  rate?: string;
  stages?: { duration: number; rate?: string; workers?: number; step?: boolean }[];
  ramp_up?: number;
  duration: number;
  max_iterations?: number;
  variables?: Record<string, string>;
  weights?: Record<string, number>;
  headers?: Record<string, string>;
  seed?: string;
  trace?: boolean;
  [key: string]: unknown;
}

export interface Status {
  state: State;
  reason?: string;
  since: string;
  revision: number;
}

export interface JobEvent extends Status {
  job: string;
  config: Config;
  next?: Config; // of the next start, once an update has come after the end
  removed?: boolean;
}

export interface Times {
  count?: number;
  mean_ms?: number | null;
  min_ms?: number | null;
  p50_ms: number | null;
  p90_ms?: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  max_ms: number | null;
}

export interface Numbers {
  seconds: number;
  iterations: number;
  failed_iterations: number;
  interrupted: number;
  iterations_per_s: number;
  requests: number;
  failed_requests: number;
  requests_per_s: number;
  status: Record<string, number>;
  errors: Record<string, number>;
  bytes_sent: number;
  bytes_received: number;
  service: Times;
  response: Times;
}

export interface StatsEvent {
  job: string;
  state: State;
  revision: number;
  time: string;
  started: string;
  workers: number;
  vus: number;
  active: number;
  valid: boolean;
  invalid?: string[];
  interval: Numbers;
  total: Numbers;
}

export interface JobErrorEvent {
  job: string;
  time: string;
  class?: string;
  count?: number;
  message: string;
  failed: boolean;
}

export interface Interval {
  time: string;
  seconds: number;
  revision: number;
  workers: number;
  vus: number;
  active: number;
  iterations: number;
  failed_iterations: number;
  requests: number;
  failed_requests: number;
  status: Record<string, number>;
  service: Times;
  response: Times;
}

export interface Change {
  field: string;
  from: unknown;
  to: unknown;
}

export interface Revision {
  revision: number;
  time: string;
  changes: Change[];
}

export interface History {
  job: string;
  started?: string;
  intervals: Interval[];
  revisions: Revision[];
}

export interface Totals {
  iterations: number;
  failed_iterations: number;
  interrupted: number;
  requests: number;
  failed_requests: number;
  status: Record<string, number>;
  errors: Record<string, { count: number; sample: string }>;
  bytes_sent: number;
  bytes_received: number;
  service: Times;
  response: Times;
}

export interface TaskTotals extends Totals {
  task: string;
}

export interface Snapshot extends Totals {
  state: State;
  started?: string;
  time: string;
  elapsed_s: number;
  offered_s: number; // which rates are per second of
  workers: number;
  vus: number;
  active: number;
  valid: boolean;
  invalid?: string[];
  lag: Times;
  starved: number;
  dropped: number;
  tasks: TaskTotals[];
}

export interface Task {
  task: string;
  weight: number;
  share: number;
}

export interface Variable {
  name: string;
  default: string | number | boolean;
  value: string | number | boolean;
}

export interface JobView extends Status {
  job: string;
  config: Config;
  next?: Config;
  lease_ends?: string;
  history: { state: State; reason?: string; time: string }[];
  snapshot?: Snapshot;
  effective?: { variables: Variable[]; tasks: Task[] };
}

export interface Bucket {
  from_ms: number;
  to_ms: number;
  count: number;
}

export interface Distribution {
  job: string;
  service: Bucket[];
  response: Bucket[];
}

/** A request that took about as long as a percentile says, and its trace. */
export interface Trace {
  percentile: string;
  task: string;
  time: string;
  service_ms: number;
  status: number;
  class?: string;
  trace_id: string;
  span_id: string;
  url?: string;
}

/** What APM agents have told of requests: numbers of them, if docs/openapi.yaml says nothing else. */
export interface Documents {
  sent: number;
  sampled: number;
  found: number;
  pending: number;
  missing: number;
  late: number;
  duplicated: number;
  orphaned: number;
  wrong_name: number;
  wrong_outcome: number;
  error_docs: number;
  expected_errors: number;
  too_long: number;
  broken: number;
  wrong_sampled: number;
  unsampled_found: number;
  untracked: number;
}

export interface Verdict extends Documents {
  job: string;
  time: string;
  ok: boolean;
  settled: boolean;
  doubts?: { fields: string[]; why: string }[];
  delay: { p50_s: number; p99_s: number; max_s: number };
  strange: { traces: number; documents: number; rejected: number; refused: number };
  tasks: (Documents & { task: string; name: string })[];
  examples?: { fault: string; task: string; trace_id: string; why: string; curl: string; start: string }[];
}

/** What all jobs together may do; what is left out is not limited. */
export interface Limits {
  max_rate?: string;
  max_workers?: number;
  max_jobs?: number;
  apm?: boolean; // whether the server hears what APM agents say
}

export interface ScenarioInfo {
  name: string;
  description?: string;
  file: string;
  error?: { message: string; faults?: { line: number; column: number; message: string }[] };
}

export interface ScenarioDetails extends ScenarioInfo {
  source: string;
  variables?: Variable[];
  tasks?: Task[];
}

/** The bodies of start and update: what is left out stays as it is. */
export type Settings = { job: string } & Record<string, unknown>;
