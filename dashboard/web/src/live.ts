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

function later(apply: () => void) {
  waiting.push(apply);
  if (waiting.length === 1) {
    if (document.hidden) setTimeout(flush, 1000);
    else requestAnimationFrame(flush);
  }
}

function flush() {
  const now = waiting;
  waiting = [];
  batch(() => now.forEach((apply) => apply()));
}

let service = ""; // when the service began that the page was connected to last

/** Brings the page in step with the API after each connection. */
async function resync() {
  const known = await api.jobs();
  const restarted = service !== "" && known.started !== service;
  const again = service !== "";
  service = known.started;
  const stats = new Map((await api.stats()).jobs.map((s) => [s.job, s]));
  const most = await api.limits();
  batch(() => {
    limits.value = most;
    if (restarted) jobs.value = new Map();
    setJobs(known.jobs);
    for (const job of jobs.peek().values()) {
      job.stale();
      if (!isActive(job.info.peek().state)) job.snapshot.value = stats.get(job.name) ?? null;
    }
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
  const sync = () => {
    resync().catch(() => {
      lost();
      setTimeout(() => socket.connected && sync(), 1000);
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
