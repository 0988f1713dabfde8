import { useSignal } from "@preact/signals";
import { useEffect, useId, useMemo, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import * as api from "../api";
import { ApiError } from "../api";
import { freeName, settingsOf } from "../actions";
import { parseRate, percent, plain, text } from "../format";
import { go, toJob } from "../router";
import { isActive, jobs } from "../store";
import type { Config, ScenarioDetails, ScenarioInfo, Settings } from "../types";
import { Dialog } from "../ui/dialog";
import { Segmented } from "../ui/parts";

type Form = Record<Field, string>;
type Field =
  | "job" | "target" | "scenario" | "model" | "workers" | "delay" | "rate" | "max_workers" | "duration" | "ramp_up" | "trace"
  | "error_weight" | "app_latency_weight" | "app_latency_label" | "app_latency_lower_bound" | "app_latency_upper_bound";

const empty: Form = {
  job: "", target: "", scenario: "", model: "closed", workers: "", delay: "", rate: "", max_workers: "", duration: "", ramp_up: "", trace: "",
  error_weight: "", app_latency_weight: "", app_latency_label: "", app_latency_lower_bound: "", app_latency_upper_bound: "",
};

/** The variables that have a field of their own. */
const variables: [Field, string][] = [
  ["error_weight", "ERROR_WEIGHT"],
  ["app_latency_weight", "APP_LATENCY_WEIGHT"],
  ["app_latency_label", "APP_LATENCY_LABEL"],
  ["app_latency_lower_bound", "APP_LATENCY_LOWER_BOUND"],
  ["app_latency_upper_bound", "APP_LATENCY_UPPER_BOUND"],
];

/** The form of a copy of a job, and what it has that the form does not show. */
function copyOf(config: Config): { form: Form; rest: Record<string, unknown> } {
  const { job, url, scenario, workers, delay, rate, max_workers, duration: seconds, ramp_up, trace, variables: vars = {}, service_name: _, ...rest } = settingsOf(config) as Config;
  const form: Form = {
    ...empty,
    job: freeName(job),
    target: url,
    scenario,
    model: parseRate(rate) === undefined ? "closed" : "open",
    workers: plain(workers),
    delay: plain(delay),
    rate: rate ?? "",
    max_workers: max_workers === undefined ? "" : plain(max_workers),
    duration: seconds > 0 && seconds < 300 * 86_400 ? plain(seconds) : "",
    ramp_up: ramp_up ? plain(ramp_up) : "",
    trace: trace ? "true" : "",
  };
  const others = { ...vars };
  for (const [field, name] of variables) {
    if (vars[name] !== undefined) form[field] = vars[name];
    delete others[name];
  }
  return { form, rest: Object.keys(others).length > 0 ? { ...rest, variables: others } : rest };
}

/** What is sent: what is left empty is left to the server's defaults. */
function settings(form: Form, rest: Record<string, unknown>): Settings {
  const all: Settings = { ...rest, job: form.job.trim() };
  const target = form.target.trim();
  if (/^\d+$/.test(target)) all.port = target;
  else if (target) all.url = target;
  if (form.scenario) all.scenario = form.scenario;
  const fields: Field[] = ["workers", "ramp_up", ...(form.model === "open" ? (["rate"] as const) : (["delay"] as const)), "max_workers", "trace", ...variables.map(([f]) => f)];
  for (const f of fields) if (form[f].trim() !== "") all[f] = form[f].trim();
  all.duration = form.duration.trim() || "0";
  return all;
}

/** Which field of the form an answer of the API is about. */
function place(field: string): string {
  if (field === "port" || field === "url") return "target";
  return variables.find(([, name]) => field === `variables.${name}`)?.[0] ?? field;
}

export function StartDialog({ from, onClose }: { from?: Config | undefined; onClose: () => void }) {
  const copy = useMemo(() => (from ? copyOf(from) : { form: empty, rest: {} }), []);
  const form = useSignal<Form>(copy.form);
  const rest = useSignal(copy.rest);
  const errors = useSignal<Record<string, string>>({});
  const busy = useSignal(false);
  const scenarios = useSignal<ScenarioInfo[] | null>(null);
  const element = useRef<HTMLFormElement>(null);
  useEffect(() => {
    api
      .catalogue()
      .then((c) => {
        scenarios.value = c.scenarios;
        const first = c.scenarios.find((s) => !s.error);
        if (!form.peek().scenario && first) form.value = { ...form.peek(), scenario: first.name };
      })
      .catch((e: unknown) => (errors.value = { "": String(e instanceof Error ? e.message : e) }));
  }, []);

  const set = (field: Field) => (value: string) => {
    form.value = { ...form.value, [field]: value };
    if (errors.value[field]) errors.value = Object.fromEntries(Object.entries(errors.value).filter(([f]) => f !== field));
  };
  const submit = async (e: Event) => {
    e.preventDefault();
    busy.value = true;
    errors.value = {};
    try {
      await api.start(settings(form.value, rest.value));
      onClose();
      go(toJob(form.value.job.trim().replace(/^opbeans-/, "")));
    } catch (x) {
      const found: Record<string, string> = {};
      if (x instanceof ApiError) for (const [f, message] of Object.entries(x.fields)) found[place(f)] = message;
      if (Object.keys(found).length === 0) found[""] = x instanceof Error ? x.message : String(x);
      errors.value = found;
      requestAnimationFrame(() => element.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus());
    } finally {
      busy.value = false;
    }
  };
  const f = form.value;
  const field = (name: Field, label: string, more: { placeholder?: string; hint?: ComponentChildren; unit?: string; autofocus?: boolean; numeric?: boolean } = {}) => (
    <FormField key={name} name={name} label={label} value={f[name]} error={errors.value[name]} onInput={set(name)} {...more} />
  );
  const runs = jobs.value.get(f.job.trim().replace(/^opbeans-/, ""));
  const chosen = scenarios.value?.find((s) => s.name === f.scenario);
  const elsewhere = Object.entries(errors.value).filter(([name]) => !(name in empty));
  return (
    <Dialog title={from ? `Duplicate ${from.job}` : "Start a job"} onClose={onClose} wide>
      <form ref={element} onSubmit={(e) => void submit(e)} noValidate>
        {elsewhere.map(([name, message]) => (
          <p key={name} class="alert bad" role="alert">
            {name && <b>{name}: </b>}
            {message}
          </p>
        ))}
        <div class="fields">
          {field("job", "Job name", { placeholder: "opbeans-python", autofocus: true, hint: runs && isActive(runs.info.value.state) ? <b class="warn">A job of this name runs: it will be changed in place.</b> : "scenarios see it as SERVICE_NAME" })}
          {field("target", "Target", { placeholder: "8000", hint: "a port, or the whole base URL" })}
          <div class="field whole">
            <label for="start-scenario">Scenario</label>
            <select id="start-scenario" name="scenario" value={f.scenario} aria-invalid={errors.value.scenario ? true : undefined} onChange={(e) => set("scenario")(e.currentTarget.value)}>
              {scenarios.value === null && <option value={f.scenario}>{f.scenario || "Loading…"}</option>}
              {scenarios.value?.map((s) => (
                <option key={s.name} value={s.name} disabled={s.error !== undefined}>
                  {s.name + (s.error ? " (does not parse)" : "")}
                </option>
              ))}
            </select>
            {errors.value.scenario ? <p class="error" role="alert">{errors.value.scenario}</p> : <p class="hint">{chosen?.description ?? "\u00a0"}</p>}
            <Weights form={f} />
          </div>
          <div class="field whole">
            <span class="name" id="start-model">
              Load
            </span>
            <Segmented label="Load model" value={f.model} options={[["closed", "Workers + delay"], ["open", "Rate"]]} onChange={set("model")} />
            <p class="hint">{f.model === "open" ? "Iterations begin at this rate, however slow the target is." : "Each worker begins an iteration, and pauses before the next."}</p>
          </div>
          {field("workers", f.model === "open" ? "Workers to begin with" : "Workers", { placeholder: "3", numeric: true, hint: "virtual users" })}
          {f.model === "open" ? (
            <>
              {field("rate", "Rate", { placeholder: "100/s", hint: "iterations, for instance 100/s or 30/m" })}
              {field("max_workers", "Workers at most", { placeholder: "1000", numeric: true, hint: "as the rate needs them" })}
            </>
          ) : (
            field("delay", "Delay", { placeholder: "0.6", unit: "s", numeric: true, hint: "of a worker between two iterations" })
          )}
          {field("duration", "Duration", { placeholder: "until it is stopped", hint: "seconds, or 1m30s" })}
          {field("ramp_up", "Ramp-up", { placeholder: "0", hint: "seconds, or 1m30s" })}
          <div class="field check">
            <label>
              <input type="checkbox" name="trace" checked={f.trace === "true"} aria-describedby="start-trace" onChange={(e) => set("trace")(e.currentTarget.checked ? "true" : "")} /> Trace
            </label>
            <p id="start-trace" class={errors.value.trace ? "error" : "hint"}>{errors.value.trace ?? "each request carries a traceparent"}</p>
          </div>
        </div>
        <details open={variables.some(([name]) => f[name] !== "" || errors.value[name])}>
          <summary>Errors and latency</summary>
          <div class="fields">
            {field("error_weight", "Error weight", { placeholder: "0", numeric: true, hint: "of each task that is meant to fail" })}
            {field("app_latency_weight", "App latency weight", { placeholder: "0", numeric: true, hint: "of the task that asks for a slow page" })}
            {field("app_latency_label", "App latency label", { placeholder: "dyno_latency", hint: "of the slow page" })}
            {field("app_latency_lower_bound", "App latency from", { placeholder: "1", unit: "ms", numeric: true, hint: "the least delay that it asks for" })}
            {field("app_latency_upper_bound", "App latency up to", { placeholder: "1000", unit: "ms", numeric: true, hint: "the most" })}
          </div>
        </details>
        {Object.keys(rest.value).length > 0 && (
          <p class="hint">
            Also copied: {Object.keys(rest.value).join(", ").replace(/_/g, " ")}.{" "}
            <button type="button" class="link" onClick={() => (rest.value = {})}>
              Leave these out
            </button>
          </p>
        )}
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={busy.value}>
            {busy.value ? "Starting…" : "Start"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

interface FieldProps {
  name: string;
  label: string;
  value: string;
  error?: string | undefined;
  onInput: (value: string) => void;
  placeholder?: string;
  hint?: ComponentChildren;
  unit?: string;
  autofocus?: boolean;
  numeric?: boolean;
}

function FormField({ name, label, value, error, onInput, placeholder, hint, unit, autofocus, numeric }: FieldProps) {
  const id = useId();
  return (
    <div class={`field ${error ? "wrong" : ""}`}>
      <label for={id}>{label}</label>
      <span class="input">
        <input
          id={id}
          name={name}
          type="text"
          inputMode={numeric ? "decimal" : "text"}
          autocomplete="off"
          autofocus={autofocus}
          spellcheck={false}
          placeholder={placeholder}
          value={value}
          aria-invalid={error ? true : undefined}
          aria-describedby={`${id}-h`}
          onInput={(e) => onInput(e.currentTarget.value)}
        />
        {unit && <span class="unit">{unit}</span>}
      </span>
      <p id={`${id}-h`} class={error ? "error" : "hint"} role={error ? "alert" : undefined}>
        {error ?? hint ?? "\u00a0"}
      </p>
    </div>
  );
}

/** The tasks of the chosen scenario, and how often each would be picked. */
function Weights({ form }: { form: Form }) {
  const open = useSignal(false);
  const details = useSignal<ScenarioDetails | null>(null);
  const error = useSignal("");
  const given = variables.flatMap(([f, name]): [string, string][] => (form[f].trim() ? [[name, form[f].trim()]] : []));
  const asked = JSON.stringify([form.scenario, form.job.trim(), given]);
  useEffect(() => {
    if (!open.value || !form.scenario) return;
    let over = false;
    const timer = setTimeout(() => {
      api.scenario(form.scenario, form.job.trim(), Object.fromEntries(given)).then(
        (d) => {
          if (over) return;
          details.value = d;
          error.value = "";
        },
        (e: unknown) => {
          if (!over) error.value = e instanceof Error ? e.message : String(e);
        },
      );
    }, 150);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [asked, open.value]);
  return (
    <details class="weights" onToggle={(e) => (open.value = e.currentTarget.open)}>
      <summary>Tasks and their weights</summary>
      {error.value && <p class="error">{error.value}</p>}
      {open.value && details.value && <TaskWeights details={details.value} scrolls />}
    </details>
  );
}

export function TaskWeights({ details, scrolls = false }: { details: ScenarioDetails; scrolls?: boolean }) {
  const top = Math.max(...(details.tasks ?? []).map((t) => t.share), 0.0001);
  return (
    <ul class="mix" tabIndex={scrolls ? 0 : undefined} aria-label="Tasks, their weights and their shares">
      <li class="head" aria-hidden="true">
        <span>Task</span>
        <span />
        <span class="num">Weight</span>
        <span class="num">Share</span>
      </li>
      {details.tasks?.map((t) => (
        <li key={t.task} class={t.weight > 0 ? "" : "idle"}>
          <span class="task">{t.task}</span>
          <span class="meter">
            <span style={{ transform: `scaleX(${t.share / top})` }} />
          </span>
          <span class="num">{plain(t.weight)}</span>
          <span class="num muted">{text(percent(t.share, 1))}</span>
        </li>
      ))}
    </ul>
  );
}
