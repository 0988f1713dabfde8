import type { Distribution, History, JobView, Limits, ScenarioDetails, ScenarioInfo, Settings, Snapshot, Trace, Verdict } from "./types";

/** A refusal of the API, or no answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields: Record<string, string>,
  ) {
    super(message);
  }
}

/** The address of a path of the API, wherever the page is mounted. */
export const address = (path: string) => new URL(path, document.baseURI.split("#")[0]).href;

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(address(path), {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, "unreachable", "The server does not answer.", {});
  }
  if (response.status === 401) {
    location.reload(); // the server asks for its token
  }
  const answer: unknown = await response.json().catch(() => null);
  if (!response.ok) throw refusal(response.status, answer);
  return answer as T;
}

/** Says which fields the API has found fault with, each with its message. */
export function refusal(status: number, answer: unknown): ApiError {
  const error = (answer as { error?: { code: string; message: string; field?: string; fields?: { field: string; message: string }[] } } | null)?.error;
  if (!error) return new ApiError(status, "unknown", `The server answered with status ${status}.`, {});
  const fields: Record<string, string> = {};
  if (error.field) fields[error.field] = error.message.startsWith(error.field + ": ") ? error.message.slice(error.field.length + 2) : error.message;
  for (const f of error.fields ?? []) fields[f.field] = f.message;
  return new ApiError(status, error.code, error.message, fields);
}

const name = encodeURIComponent;

export const jobs = () => call<{ jobs: JobView[]; started: string }>("GET", "api/jobs");
export const stats = () => call<{ jobs: (Snapshot & { job: string })[] }>("GET", "api/stats");
export const job = (job: string) => call<JobView>("GET", `api/jobs/${name(job)}`);
export const history = (job: string, last: number) => call<History>("GET", `api/jobs/${name(job)}/history?last=${last}`);
export const distribution = (job: string) => call<Distribution>("GET", `api/jobs/${name(job)}/distribution`);
export const verdict = (job: string) => call<Verdict>("GET", `api/jobs/${name(job)}/apm`);
export const traces = (job: string) => call<{ traces: Trace[] }>("GET", `api/jobs/${name(job)}/traces`);
export const catalogue = () => call<{ scenarios: ScenarioInfo[] }>("GET", "api/catalogue");
export const start = (settings: Settings) => call<object>("POST", "api/start", settings);
export const update = (settings: Settings) => call<object>("POST", "api/update", settings);
export const stop = (job: string) => call<object>("POST", "api/stop", { job });
export const stopAll = () => call<object>("POST", "api/stop-all");
export const renew = (job: string) => call<object>("POST", `api/jobs/${name(job)}/renew`);
export const limits = () => call<Limits>("GET", "api/limits");
export const remove = (job: string) => call<object>("DELETE", `api/jobs/${name(job)}`);

export function scenario(scenario: string, job: string, variables: Record<string, string>) {
  const query = new URLSearchParams();
  if (job) query.set("job", job);
  for (const [key, value] of Object.entries(variables)) query.set(`variables[${key}]`, value);
  return call<ScenarioDetails>("GET", `api/catalogue/${name(scenario)}?${query}`);
}
