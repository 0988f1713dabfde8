import { useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { active, overlay, remove, stopAll } from "./actions";
import { clock } from "./format";
import { connection } from "./live";
import { Notices } from "./notices";
import { go, route, toJobs, toScenarios } from "./router";
import { isActive, jobs } from "./store";
import { theme, type Theme } from "./theme";
import { Confirm, Dialog } from "./ui/dialog";
import { JobPage } from "./views/job";
import { Jobs } from "./views/jobs";
import { Scenarios } from "./views/scenarios";
import { StartDialog } from "./views/start";

export function App() {
  useShortcuts();
  useTitle();
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Header />
      <Lost />
      <main id="main" tabIndex={-1}>
        <View />
      </main>
      <Overlays />
      <Notices />
    </>
  );
}

function skip(e: Event) {
  e.preventDefault(); // the address's hash is the route
  document.getElementById("main")?.focus();
}

function View() {
  const at = route.value;
  if (at.view === "job") return <JobPage name={at.name} />;
  if (at.view === "scenarios") return <Scenarios name={at.name} />;
  return <Jobs />;
}

function Header() {
  const view = route.value.view;
  const running = active().length;
  return (
    <header class="top">
      <a class="brand" href={toJobs} aria-label="loadgen, all jobs">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="8" />
          <path d="M6 21h4l3-11 5 15 4-9h4" />
        </svg>
        <span>loadgen</span>
      </a>
      <nav aria-label="Main">
        <a href={toJobs} aria-current={view === "scenarios" ? undefined : "page"}>
          Jobs
        </a>
        <a href={toScenarios} aria-current={view === "scenarios" ? "page" : undefined}>
          Scenarios
        </a>
      </nav>
      <span class="space" />
      <Connection />
      <ThemeSwitch />
      <button type="button" class="icon help" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={() => (overlay.value = { what: "help" })}>
        ?
      </button>
      <button type="button" class="stop-all" disabled={running === 0} onClick={() => (overlay.value = { what: "stop-all" })}>
        Stop all
      </button>
      <button type="button" class="primary" onClick={() => (overlay.value = { what: "start" })}>
        Start a job
      </button>
    </header>
  );
}

function Connection() {
  const { state } = connection.value;
  const text = { connecting: "Connecting…", live: "Live", lost: "Reconnecting…" }[state];
  return (
    <span class={`connection ${state}`} role="status">
      {text}
    </span>
  );
}

/** Says since when the numbers are old. */
function Lost() {
  const { state, since } = connection.value;
  if (state !== "lost") return null;
  return (
    <div class="lost" role="alert">
      The connection to the server was lost at {clock(since)}. The numbers are those of then; the page reconnects by itself.
    </div>
  );
}

const themes: [Theme, string, string][] = [
  ["auto", "◐", "Colours of the system"],
  ["light", "☀", "Light colours"],
  ["dark", "☾", "Dark colours"],
];

function ThemeSwitch() {
  const [, sign, name] = themes.find(([t]) => t === theme.value)!;
  const next = themes[(themes.findIndex(([t]) => t === theme.value) + 1) % themes.length]!;
  return (
    <button type="button" class="icon theme" aria-label={`${name}. Switch to: ${next[2].toLowerCase()}`} title={name} onClick={() => (theme.value = next[0])}>
      {sign}
    </button>
  );
}

function Overlays() {
  const o = overlay.value;
  const close = () => {
    if (overlay.peek() === o) overlay.value = null;
  };
  switch (o?.what) {
    case "start":
      return <StartDialog from={o.from} onClose={close} />;
    case "stop-all": {
      const n = active().length;
      return <Confirm title="Stop all jobs" text={`${n} ${n === 1 ? "job runs" : "jobs run"}. No new iteration begins; running ones end.`} action={n === 1 ? "Stop it" : `Stop ${n} jobs`} onConfirm={() => void stopAll()} onClose={close} />;
    }
    case "remove":
      return (
        <Confirm
          title={`Remove ${o.job}`}
          text="The job and its statistics are forgotten."
          action="Remove"
          onConfirm={() => {
            void remove(o.job);
            if (route.peek().view === "job") go(toJobs);
          }}
          onClose={close}
        />
      );
    case "help":
      return (
        <Dialog title="Keyboard shortcuts" onClose={close}>
          <dl class="keys">
            {shortcuts.map(([key, what]) => (
              <div key={key}>
                <dt>
                  <kbd>{key}</kbd>
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
            <div>
              <dt>
                <kbd>↑</kbd> <kbd>↓</kbd>
              </dt>
              <dd>in a number field: a step more or less</dd>
            </div>
            <div>
              <dt>
                <kbd>Esc</kbd>
              </dt>
              <dd>close, or give a changed value up</dd>
            </div>
          </dl>
        </Dialog>
      );
  }
  return null;
}

const shortcuts: [key: string, what: string, run: () => void][] = [
  ["n", "start a new job", () => (overlay.value = { what: "start" })],
  ["j", "all jobs", () => go(toJobs)],
  ["s", "scenarios", () => go(toScenarios)],
  ["/", "filter the jobs", () => document.getElementById("filter")?.focus()],
  ["t", "switch colours", () => (theme.value = themes[(themes.findIndex(([t]) => t === theme.peek()) + 1) % themes.length]![0])],
  ["?", "this help", () => (overlay.value = { what: "help" })],
];

function useShortcuts() {
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey || overlay.peek()) return;
      const on = e.target as HTMLElement;
      if (on.closest("input:not([type=range]), select, textarea, [contenteditable]")) return;
      const found = shortcuts.find(([key]) => key === e.key);
      if (!found) return;
      e.preventDefault();
      found[2]();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

/** The tab says how many jobs run, or which one is shown. */
function useTitle() {
  useSignalEffect(() => {
    const at = route.value;
    const running = [...jobs.value.values()].filter((j) => isActive(j.info.value.state)).length;
    const where = at.view === "job" ? at.name : at.view === "scenarios" ? "Scenarios" : running > 0 ? `${running} running` : "";
    document.title = where ? `${where} · loadgen` : "loadgen";
  });
}
