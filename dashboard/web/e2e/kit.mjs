// What the tests of the page need: the server's binary with its demo shop, and a browser.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const binary = process.env.LOADGEN_BIN ?? path.resolve(import.meta.dirname, "../../../bin/loadgen");
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** How long a condition may take on a busy machine. */
export const patience = 60_000;

/** Starts a browser; with its process, whose use of the CPU can be measured. */
export async function browse() {
  const server = await chromium.launchServer({ executablePath, args, timeout: patience });
  const browser = await chromium.connect(server.wsEndpoint());
  return { browser, pid: server.process().pid, close: () => server.close() };
}

/** Holds an address for servers that come and go: a port that were free between two of them could be anybody's. */
class Front {
  sockets = new Set();

  async listen() {
    this.server = createServer((socket) => {
      this.hold(socket);
      if (!this.port) return socket.destroy();
      const behind = this.hold(connect(this.port, "127.0.0.1"));
      for (const [from, to] of [[socket, behind], [behind, socket]]) {
        from.pipe(to);
        from.on("close", () => to.destroy());
      }
    });
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    return `127.0.0.1:${this.server.address().port}`;
  }

  hold(socket) {
    this.sockets.add(socket);
    socket.on("error", () => {}); // one side is gone, which closes the other
    return socket.on("close", () => this.sockets.delete(socket));
  }

  lead(port) {
    this.port = port;
    if (!port) for (const socket of this.sockets) socket.destroy();
  }

  close() {
    this.lead(0);
    this.server.close();
  }
}

/** A server with the demo: a shop, and the job "demo" that drives it. */
export class Server {
  /** Scenario files, by name, lie beside the built-in ones. A token is what clients need. One that restarts keeps its address. */
  static async start(scenarios = {}, { token = "", flags = [], restarts = false } = {}) {
    const s = new Server();
    s.flags = flags;
    s.token = token;
    s.folder = await mkdtemp(path.join(tmpdir(), "loadgen-e2e-"));
    for (const [name, text] of Object.entries(scenarios)) await writeFile(path.join(s.folder, name), text);
    if (restarts) {
      s.front = new Front();
      s.addr = await s.front.listen();
    }
    await s.run();
    return s;
  }

  async run() {
    const addrFile = path.join(this.folder, "addr");
    await rm(addrFile, { force: true });
    this.process = spawn(binary, ["-demo", "-addr", "127.0.0.1:0", "-addr-file", addrFile, "-scenarios", this.folder, ...this.flags], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, LOADGEN_TOKEN: this.token },
    });
    this.ended = new Promise((done) => this.process.once("exit", done));
    const lines = [];
    await new Promise((ready, failed) => {
      this.ended.then((code) => failed(new Error(`the server ended with ${code}:\n${lines.join("\n")}`)));
      createInterface({ input: this.process.stdout }).on("line", (line) => {
        lines.push(line);
        const agents = /receiving from APM agents.* apm=(\S+)/.exec(line);
        if (agents) this.agents = `http://${agents[1]}`;
        const shop = /shop listens on http:\/\/localhost:(\d+)/.exec(line);
        if (shop) this.shop = shop[1];
        if (shop) ready(); // the last that is told
      });
    });
    const addr = (await readFile(addrFile, "utf8")).trim();
    if (this.front) this.front.lead(Number(addr.split(":").at(-1)));
    else this.addr = addr;
    this.url = `http://${this.addr}`;
  }

  /** Ends it the hard way, as a crash does. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
    this.front?.lead(0);
  }

  async close() {
    await this.kill();
    this.front?.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  async api(method, where, body) {
    const response = await fetch(`${this.url}/api/${where}`, {
      method,
      headers: this.token ? { Authorization: `Bearer ${this.token}` } : {},
      body: body && JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${where}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Starts a job against the shop. */
  job(job, settings = {}) {
    return this.api("POST", "start", { job, port: this.shop, delay: 0.05, ...settings });
  }

  config = async (job) => (await this.api("GET", `jobs/${job}`)).config;
}

/** Waits until a condition holds, and gives what it gave. */
export async function until(what, condition, limit = patience) {
  const end = Date.now() + limit;
  for (;;) {
    const last = await condition();
    if (last) return last;
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Keeps what the browser complains about, the Content-Security-Policy for instance, and requests to other hosts. */
export function watch(page, server) {
  page.setDefaultTimeout(patience);
  page.complaints = [];
  page.on("pageerror", (e) => page.complaints.push(String(e)));
  page.on("console", (m) => {
    if (m.type() === "error" || m.type() === "warning") page.complaints.push(`${m.text()} (${m.location().url})`);
  });
  page.foreign = [];
  page.on("request", (r) => {
    if (new URL(r.url()).host !== server.addr && !r.url().startsWith("data:")) page.foreign.push(r.url());
  });
}

/**
 * Asserts that the browser had nothing to complain about in a whole visit. It reports
 * an answer that refuses something; what of it a test has asked for, it names.
 */
export function assertClean(page, asked = /^$/) {
  assert.deepEqual(page.complaints.filter((c) => !asked.test(c)), [], "complaints of the browser");
  assert.deepEqual(page.foreign, [], "requests to other hosts");
}

/** Opens the page in a context of its own. */
export async function open(browser, server, { hash = "", width = 1280, height = 900, colorScheme = "light" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  const page = await context.newPage();
  watch(page, server);
  await page.goto(`${server.url}/${hash}`);
  await page.getByText("Live", { exact: true }).waitFor();
  return page;
}

/** The number that a tile shows, or NaN while it is not known. */
export async function tile(page, label, within = page) {
  const text = await within.locator(".tile", { has: page.locator("dt", { hasText: label }) }).locator(".value").first().innerText();
  return parseFloat(text.replaceAll(",", ""));
}

/** What a canvas shows, to be compared. */
export const picture = (locator) => locator.evaluate((canvas) => canvas.toDataURL());
