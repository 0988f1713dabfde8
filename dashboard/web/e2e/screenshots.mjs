// Takes the pictures of the page that docs/ and the README show.
import path from "node:path";
import { browse, open, Server, until } from "./kit.mjs";

const docs = path.resolve(import.meta.dirname, "../../../docs");
const chrome = await browse();
const server = await Server.start();
const length = async (job) => (await server.api("GET", `jobs/${job}/history`)).intervals.length;

try {
  await server.job("opbeans-python", { workers: 4, delay: 0.1 });
  await server.job("opbeans-node", { workers: 3, delay: 0.2, scenario: "dyno" });
  await server.job("opbeans-ruby", { rate: "20/s", scenario: "high_error_rates" });
  await server.job("opbeans-go", { workers: 2, delay: 0.1, duration: 3600 });
  await server.api("POST", "start", { job: "closed-port", port: 9, workers: 1, delay: 0.5 });
  await server.api("POST", "start", { job: "short", port: server.shop, delay: 0.1, duration: 20 });
  await server.api("POST", "update", { job: "prepared", url: "http://shop.test", rate: "50/s" });
  const changes = [[20, { workers: 12 }], [40, { error_weight: 20 }], [60, { app_latency_weight: 6, app_latency_upper_bound: 300 }]];
  for (const [after, change] of changes) {
    await until(`${after} s`, async () => (await length("python")) >= after, 60_000);
    await server.api("POST", "update", { job: "python", ...change });
  }
  await until("85 s", async () => (await length("python")) >= 85, 60_000);

  const shot = async (file, options, ready) => {
    const page = await open(chrome.browser, server, options);
    await ready(page);
    await until("no value is missing", async () => (await page.locator(".tile .value.none").count()) === 0);
    await page.screenshot({ path: path.join(docs, file), animations: "disabled" });
    await page.context().close();
    console.log(file);
  };
  const job = (page) => page.getByRole("row", { name: /^oopsie / }).waitFor();
  await shot("dashboard-light.png", { hash: "#/jobs/python", height: 1000 }, job);
  await shot("dashboard-dark.png", { height: 800, colorScheme: "dark" }, (page) => page.getByRole("link", { name: "short" }).waitFor());
  await shot("dashboard-narrow.png", { hash: "#/jobs/python", width: 390, height: 1100 }, job);
} finally {
  await chrome.close();
  await server.close();
}
