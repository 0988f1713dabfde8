import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import * as api from "../api";
import { toScenario } from "../router";
import type { ScenarioDetails, ScenarioInfo } from "../types";
import { Empty } from "../ui/parts";
import { usePoll } from "../ui/poll";
import { TaskWeights } from "./start";

/** The scenario files: what is in them, and what is wrong with them. */
export function Scenarios({ name }: { name?: string | undefined }) {
  const all = useSignal<ScenarioInfo[] | null>(null);
  usePoll(async () => (all.value = (await api.catalogue()).scenarios), 5000, []);
  if (all.value === null) return <p class="loading muted">Loading…</p>;
  if (all.value.length === 0) return <Empty title="There are no scenario files" />;
  const chosen = name ?? all.value[0]!.name;
  return (
    <>
      <div class="bar">
        <h1>Scenarios</h1>
        <span class="muted">files are read again at each start of a job</span>
      </div>
      <div class="scenarios">
        <nav class="card flush list" aria-label="Scenarios">
          {all.value.map((s) => (
            <a key={s.name} href={toScenario(s.name)} aria-current={s.name === chosen ? "page" : undefined}>
              <span class="name">
                {s.name}
                {s.error && <span class="invalid">does not parse</span>}
              </span>
              <span class="muted">{s.error ? `${s.error.faults?.length ?? 1} ${s.error.faults?.length === 1 ? "error" : "errors"}` : (s.description ?? "")}</span>
            </a>
          ))}
        </nav>
        {all.value.some((s) => s.name === chosen) ? <Details key={chosen} name={chosen} /> : <Empty title={`There is no scenario “${chosen}”`} />}
      </div>
    </>
  );
}

function Details({ name }: { name: string }) {
  const details = useSignal<ScenarioDetails | null>(null);
  const error = useSignal("");
  const source = useRef<HTMLDivElement>(null);
  usePoll(
    async () => {
      try {
        const d = await api.scenario(name, "", {});
        if (JSON.stringify(d) !== JSON.stringify(details.peek())) details.value = d;
        error.value = "";
      } catch (e) {
        error.value = e instanceof Error ? e.message : String(e);
      }
    },
    5000,
    [name],
  );
  const d = details.value;
  if (error.value) return <Empty title={error.value} />;
  if (!d) return <p class="loading muted">Loading…</p>;
  const show = (line: number) => source.current?.querySelector(`[data-line="${line}"]`)?.scrollIntoView({ block: "center" });
  return (
    <div class="details">
      <section class="card" aria-label={name}>
        <header>
          <h2>{name}</h2>
          <span class="muted mono">{d.file}</span>
        </header>
        {d.description && <p>{d.description}</p>}
        {d.error && (
          <div class="alert bad" role="alert">
            <b>This file cannot be used.</b> Jobs that run are not disturbed.
            <ul class="faults">
              {d.error.faults?.map((f) => (
                <li key={`${f.line}:${f.column}:${f.message}`}>
                  <button type="button" class="link" onClick={() => show(f.line)}>
                    line {f.line}, column {f.column}
                  </button>{" "}
                  {f.message}
                </li>
              )) ?? <li>{d.error.message}</li>}
            </ul>
          </div>
        )}
        {d.tasks && (
          <>
            <h3>Tasks and their weights</h3>
            <TaskWeights details={d} />
          </>
        )}
        {d.variables && d.variables.length > 0 && (
          <>
            <h3>Variables</h3>
            <dl class="variables">
              {d.variables.map((v) => (
                <div key={v.name}>
                  <dt class="mono">{v.name}</dt>
                  <dd class="mono">
                    {String(v.value)}
                    {v.value !== v.default && <span class="muted"> of the environment; else {String(v.default)}</span>}
                  </dd>
                </div>
              ))}
            </dl>
          </>
        )}
      </section>
      <section class="card flush" aria-label="Source">
        <div class="source" ref={source} role="region" aria-label={`Source of ${d.file}`} tabIndex={0}>
          <Source text={d.source} faults={d.error?.faults ?? []} />
        </div>
      </section>
    </div>
  );
}

function Source({ text, faults }: { text: string; faults: { line: number; column: number; message: string }[] }) {
  return (
    <pre>
      {text.replace(/\n$/, "").split("\n").map((line, i) => {
        const here = faults.filter((f) => f.line === i + 1);
        return (
          <div key={i} data-line={i + 1} class={here.length > 0 ? "faulty" : ""}>
            <code>{line || " "}</code>
            {here.map((f) => (
              <div class="fault" key={f.column}>
                {" ".repeat(Math.max(0, f.column - 1))}^ {f.message}
              </div>
            ))}
          </div>
        );
      })}
    </pre>
  );
}
