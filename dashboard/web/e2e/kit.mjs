// What the tests of the page need: the server's binary with its demo shop, and a browser.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const binary = process.env.LOADGEN_BIN ?? path.resolve(import.meta.dirname, "../../../bin/loadgen");
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** How long a condition may take on a busy machine. */
export const patience = 30_000;

/** Starts a browser; with its process, whose use of the CPU can be measured. */
export async function browse() {
  const server = await chromium.launchServer({ executablePath, args });
  const browser = await chromium.connect(server.wsEndpoint());
  return { browser, pid: server.process().pid, close: () => server.close() };
}

/** A server with the demo: a shop, and the job "demo" that drives it. */
export class Server {
  /** Scenario files, by name, lie beside the built-in ones. A token is what clients need. */
  static async start(scenarios = {}, { token = "", flags = [] } = {}) {
    const s = new Server();
    s.flags = flags;
    s.token = token;
    s.folder = await mkdtemp(path.join(tmpdir(), "loadgen-e2e-"));
    for (const [name, text] of Object.entries(scenarios)) await writeFile(path.join(s.folder, name), text);
    await s.run("127.0.0.1:0");
    return s;
  }

  async run(addr) {
    const addrFile = path.join(this.folder, "addr");
    await rm(addrFile, { force: true });
    this.process = spawn(binary, ["-demo", "-addr", addr, "-addr-file", addrFile, "-scenarios", this.folder, ...this.flags], {
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
        if (shop) {
          this.shop = shop[1];
          ready();
        }
      });
    });
    this.addr = (await readFile(addrFile, "utf8")).trim();
    this.url = `http://${this.addr}`;
  }

  /** Ends it the hard way, as a crash does. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  restart() {
    return this.run(this.addr);
  }

  async close() {
    await this.kill();
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

/** Opens the page in a context of its own. What the browser complains about is kept. */
export async function open(browser, server, { hash = "", width = 1280, height = 900, colorScheme = "light" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.complaints = [];
  page.on("pageerror", (e) => page.complaints.push(String(e)));
  page.on("console", (m) => {
    if (m.type() === "error" || m.type() === "warning") page.complaints.push(m.text());
  });
  page.foreign = [];
  page.on("request", (r) => {
    if (new URL(r.url()).host !== server.addr && !r.url().startsWith("data:")) page.foreign.push(r.url());
  });
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
