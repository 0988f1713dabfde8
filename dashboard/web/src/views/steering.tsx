import { duration, parseRate, plain } from "../format";
import { linear, logarithmic } from "../scale";
import type { Steering } from "../steer";
import { settingsIn, type Job } from "../store";
import type { JobView } from "../types";
import { Segmented } from "../ui/parts";
import { SteerControl } from "../ui/steer-control";
import { TextControl } from "../ui/text-control";

const delays = logarithmic(0.001, 60, true);
const rates = logarithmic(0.1, 20_000, false);
const bounds = logarithmic(1, 60_000, true, true);

/** The settings of a job that can be changed while it runs. */
export function SteeringPanel({ job, steering, view }: { job: Job; steering: Steering; view: JobView | null }) {
  const { state } = job.info.value;
  const config = settingsIn(job.info.value);
  const open = parseRate(config.rate) !== undefined;
  const variables = new Map((view?.effective?.variables ?? []).map((v) => [v.name, v.value]));
  // Before its variables in force have come, a value of the job's own is one that is known.
  const variable = (name: string) => config.variables?.[name] ?? variables.get(name);
  const number = (name: string) => {
    const value = variable(name);
    return value === undefined ? undefined : Number(value);
  };
  const others = [...variables.keys()].filter((name) => !known.has(name));
  const common = { steering };
  const rateNow = () => {
    const now = job.stats.peek()?.interval.iterations_per_s;
    return Math.max(0.1, Number((now || config.workers / Math.max(config.delay, 0.05)).toPrecision(2)));
  };
  return (
    <section class="card steering" aria-label="Steering">
      <header>
        <h2>Steering</h2>
        <span class="muted">{state === "running" ? "takes effect at once" : state === "stopping" ? "the job is stopping" : "takes effect at its next start"}</span>
      </header>
      <fieldset disabled={state === "stopping"}>
        <legend>Load</legend>
        <div class="control">
          <span class="name">Model</span>
          <Segmented
            label="Load model"
            value={open ? "open" : "closed"}
            options={[["closed", "Workers + delay"], ["open", "Rate"]]}
            onChange={(v) => {
              if ((v === "open") !== open) steering.set("model", v, { rate: v === "open" ? `${rateNow()}/s` : "0" });
            }}
          />
        </div>
        <SteerControl {...common} control="workers" field="workers" label={open ? "Workers to begin with" : "Workers"} value={config.workers} scale={(v) => linear(v, 1, 20, 1)} patch={(workers) => ({ workers })} />
        {open ? (
          <>
            <SteerControl {...common} control="rate" field="rate" label="Rate" unit="/s" value={parseRate(config.rate)} scale={() => rates} patch={(r) => ({ rate: `${plain(r)}/s` })} text={(r) => `${plain(r)} iterations per second`} />
            <SteerControl {...common} control="max_workers" field="max_workers" label="Workers at most" value={config.max_workers ?? 1000} scale={() => logarithmic(1, 100_000, false, true)} patch={(max_workers) => ({ max_workers })} />
          </>
        ) : (
          <SteerControl {...common} control="delay" field="delay" label="Delay" unit="s" value={config.delay} scale={() => delays} patch={(delay) => ({ delay })} text={duration} />
        )}
        {config.stages && config.stages.length > 0 && (
          <p class="muted">
            Follows stages: {config.stages.map((s) => `${s.step ? "step " : ""}to ${s.rate ?? `${s.workers} workers`} in ${duration(s.duration)}`).join(", ")}.
          </p>
        )}
      </fieldset>
      <fieldset disabled={state === "stopping"}>
        <legend>Errors and latency</legend>
        <SteerControl {...common} control="error_weight" field="error_weight" label="Error weight" value={number("ERROR_WEIGHT")} scale={(v) => linear(v, 0, 20, 0.5)} patch={(error_weight) => ({ error_weight })} />
        <SteerControl {...common} control="app_latency_weight" field="app_latency_weight" label="App latency weight" value={number("APP_LATENCY_WEIGHT")} scale={(v) => linear(v, 0, 20, 0.5)} patch={(app_latency_weight) => ({ app_latency_weight })} />
        <SteerControl {...common} control="app_latency_lower_bound" field="app_latency_lower_bound" label="App latency from" unit="ms" value={number("APP_LATENCY_LOWER_BOUND")} scale={() => bounds} patch={(app_latency_lower_bound) => ({ app_latency_lower_bound })} />
        <SteerControl {...common} control="app_latency_upper_bound" field="app_latency_upper_bound" label="App latency up to" unit="ms" value={number("APP_LATENCY_UPPER_BOUND")} scale={() => bounds} patch={(app_latency_upper_bound) => ({ app_latency_upper_bound })} />
        <TextControl steering={steering} control="app_latency_label" field="app_latency_label" label="App latency label" value={variable("APP_LATENCY_LABEL")} patch={(app_latency_label) => ({ app_latency_label })} />
      </fieldset>
      {others.length > 0 && (
        <fieldset disabled={state === "stopping"}>
          <legend>Variables</legend>
          {others.map((name) => (
            <TextControl key={name} steering={steering} control={`variables.${name}`} field={`variables.${name}`} label={name} mono value={variable(name)} patch={(value) => ({ variables: { [name]: value } })} />
          ))}
        </fieldset>
      )}
    </section>
  );
}

const known = new Set(["ERROR_WEIGHT", "APP_LATENCY_WEIGHT", "APP_LATENCY_LABEL", "APP_LATENCY_LOWER_BOUND", "APP_LATENCY_UPPER_BOUND"]);
