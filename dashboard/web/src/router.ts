import { computed, signal } from "@preact/signals";

const hash = signal(location.hash);
addEventListener("hashchange", () => (hash.value = location.hash));

export type Route = { view: "jobs" } | { view: "job"; name: string } | { view: "scenarios"; name?: string };

/** What the part of the address after # stands for. */
export const route = computed<Route>(() => {
  const [view, ...rest] = hash.value.replace(/^#\/?/, "").split("/");
  let name = rest.join("/");
  try {
    name = decodeURIComponent(name);
  } catch {
    // as it is, then
  }
  if (view === "jobs" && name) return { view: "job", name };
  if (view === "scenarios") return name ? { view, name } : { view };
  return { view: "jobs" };
});

export const toJobs = "#/";
export const toJob = (name: string) => `#/jobs/${encodeURIComponent(name)}`;
export const toScenarios = "#/scenarios";
export const toScenario = (name: string) => `#/scenarios/${encodeURIComponent(name)}`;

export function go(to: string) {
  location.hash = to;
}
