import { batch, signal } from "@preact/signals";
import { io } from "socket.io-client";
import * as api from "./api";
import { notify } from "./notices";
import { isActive, jobEvent, jobs, limits, loaded, setJobs, statsEvent } from "./store";
import type { JobErrorEvent, JobEvent, StatsEvent } from "./types";

/** How the page is connected: since is when it was lost. */
export const connection = signal<{ state: "connecting" | "live" | "lost"; since: number }>({ state: "connecting", since: Date.now() });

// Events of one moment change the page once, and not at all while nobody sees it.
let waiting: (() => void)[] = [];
let asked = false; // that they be applied
let syncing = false; // then they wait, since the API's answers may be older than they are

function later(apply: () => void) {
  waiting.push(apply);
  if (asked || syncing) return;
  asked = true;
  if (document.hidden) setTimeout(flush, 1000);
  else requestAnimationFrame(flush);
}

function flush() {
  asked = false;
  if (!syncing) batch(apply);
}

function apply() {
  const now = waiting;
  waiting = [];
  for (const event of now) event();
}

let service = ""; // when the service began that the page was connected to last

/** Brings the page in step with the API after each connection, unless a later one takes over. */
async function resync(current: () => boolean) {
  syncing = true;
  waiting = []; // what the API says from now on has it all
  const known = await api.jobs();
  const stats = new Map((await api.stats()).jobs.map((s) => [s.job, s]));
  const most = await api.limits();
  if (!current()) return;
  const restarted = service !== "" && known.started !== service;
  const again = service !== "";
  service = known.started;
  syncing = false;
  batch(() => {
    limits.value = most;
    if (restarted) jobs.value = new Map();
    setJobs(known.jobs);
    for (const job of jobs.peek().values()) {
      job.stale();
      if (!isActive(job.info.peek().state)) job.snapshot.value = stats.get(job.name) ?? null;
    }
    apply();
    loaded.value = true;
    connection.value = { state: "live", since: Date.now() };
  });
  if (again) notify(restarted ? "Connected again. The server was restarted." : "Connected again.", "info");
  for (const job of [...jobs.peek().values()].slice(0, 100)) if (job.info.peek().state !== "pending") await job.load(60);
}

export function connect() {
  const url = new URL(api.address("socket.io/"));
  const socket = io(url.origin, { path: url.pathname, transports: ["websocket", "polling"], reconnectionDelay: 250, reconnectionDelayMax: 2000 });
  const lost = () => {
    if (connection.peek().state !== "lost") connection.value = { state: "lost", since: Date.now() };
  };
  let turn = 0;
  const sync = () => {
    const mine = ++turn;
    const current = () => mine === turn;
    resync(current).catch(() => {
      if (!current()) return;
      lost();
      setTimeout(() => current() && socket.connected && sync(), 1000);
    });
  };
  socket.on("connect", sync);
  socket.on("disconnect", lost);
  socket.on("connect_error", () => {
    lost();
    api.jobs().catch(() => {}); // which notices that the server asks for its token
  });
  socket.on("job", (e: JobEvent) => later(() => jobEvent(e)));
  socket.on("stats", (e: StatsEvent) => later(() => statsEvent(e)));
  socket.on("job_error", (e: JobErrorEvent) => e.failed && notify(`The job ${e.job} failed: ${e.message}`, "error"));
}
