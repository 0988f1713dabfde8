import { signal } from "@preact/signals";
import * as api from "./api";
import { attempt, notify } from "./notices";
import { isActive, jobs } from "./store";
import type { Config, Settings } from "./types";

/** What is shown over the page. */
export type Overlay = { what: "start"; from?: Config } | { what: "stop-all" } | { what: "remove"; job: string } | { what: "help" };
export const overlay = signal<Overlay | null>(null);

/** The settings that start a job like another one. */
export function settingsOf(config: Config): Settings {
  const { seed: _, ...settings } = config; // another run, another seed
  return settings;
}

export const active = () => [...jobs.value.values()].filter((j) => isActive(j.info.value.state));

export const stop = (job: string) => attempt(() => api.stop(job));
export const startAgain = (config: Config) => attempt(() => api.start(settingsOf(config)));
export const startPending = (job: string) => attempt(() => api.start({ job }));
export const renew = (job: string) => attempt(() => api.renew(job));
export const remove = (job: string) => attempt(() => api.remove(job));
export const stopAll = () => attempt(api.stopAll);

/** A name for a copy that no job has: shop-2 for shop. */
export function freeName(name: string): string {
  const stem = name.replace(/-\d+$/, "");
  for (let n = 2; ; n++) {
    const next = `${stem}-${n}`;
    if (!jobs.peek().has(next)) return next;
  }
}

/** Copies the command that starts a job like this one. */
export async function copyAsCurl(config: Config) {
  const body = JSON.stringify(settingsOf(config)).replace(/'/g, "'\\''");
  await copy(`curl --header 'Content-Type: application/json' --request POST --data '${body}' ${api.address("api/start")}`);
}

/** Copies a command. */
export async function copy(line: string) {
  try {
    await navigator.clipboard.writeText(line);
    notify("The curl command is in the clipboard.", "info");
  } catch {
    notify(line, "info"); // there is no clipboard without HTTPS
  }
}
