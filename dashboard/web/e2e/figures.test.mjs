// What the page costs. Prints the figures that it holds.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { browse, open, Server, until } from "./kit.mjs";

const jobs = 20;
const seconds = 20;

/** The CPU time in seconds that the processes of a browser have used, by their kind. */
async function cpu(root) {
  const parents = new Map();
  const used = new Map();
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const stat = await readFile(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const kind = /--type=([\w-]+)/.exec(await readFile(`/proc/${pid}/cmdline`, "utf8"))?.[1] ?? "browser";
      parents.set(Number(pid), Number(fields[1]));
      used.set(Number(pid), { kind, time: (Number(fields[11]) + Number(fields[12])) / 100 });
    } catch {
      // it has ended meanwhile
    }
  }
  const sums = { renderer: 0, all: 0 };
  for (const [pid, { kind, time }] of used) {
    let at = pid;
    while (at && at !== root) at = parents.get(at);
    if (at !== root) continue;
    sums.all += time;
    if (kind === "renderer") sums.renderer += time;
  }
  return sums;
}

describe("what the page costs", () => {
  let chrome, server;
  before(async () => {
    chrome = await browse();
    server = await Server.start();
    await server.api("POST", "stop", { job: "demo" });
    await until("the demo ends", async () => (await server.api("GET", "jobs/demo")).state === "stopped");
    for (let i = 1; i <= jobs; i++) await server.job(`opbeans-job-${i}`, { workers: 1, delay: 0.1 });
  });
  after(async () => {
    await chrome?.close();
    await server?.close();
  });

  test("first paint within 300 ms", async (t) => {
    const paints = [];
    for (let i = 0; i < 7; i++) {
      const page = await open(chrome.browser, server);
      paints.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
      await page.context().close();
    }
    paints.sort((a, b) => a - b);
    t.diagnostic(`first contentful paint, empty cache, ${jobs} jobs: median ${paints[3].toFixed(0)} ms, ${paints[0].toFixed(0)} to ${paints[6].toFixed(0)} ms`);
    assert.ok(paints[3] < 300, `${paints} ms`);
  });

  for (const [name, hash] of [["all jobs", ""], ["one job's charts", "#/jobs/job-1"]]) {
    test(`${name}: ${jobs} jobs that update each second take less than 10 % of a core`, async (t) => {
      const page = await open(chrome.browser, server, { hash });
      await until("numbers", async () => (await page.locator(".tile .value.none").count()) === 0);
      const cost = async () => (await cpu(chrome.pid));
      const first = await cost();
      const began = Date.now();
      await page.evaluate((ms) => new Promise((done) => setTimeout(done, ms)), seconds * 1000); // the time that is measured
      const last = await cost();
      const took = (Date.now() - began) / 1000;
      const part = (kind) => (100 * (last[kind] - first[kind])) / took;
      t.diagnostic(`${name}, ${jobs} jobs: ${part("renderer").toFixed(1)} % of a core in the page, ${part("all").toFixed(1)} % in all processes of the browser`);
      await page.context().close();
      assert.ok(part("renderer") < 10, `${part("renderer").toFixed(1)} %`);
    });
  }
});
