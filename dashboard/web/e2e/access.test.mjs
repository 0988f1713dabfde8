// The page for everybody: axe-core, narrow and wide screens.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { browse, open, Server, until } from "./kit.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const long = "the-checkout-of-a-region-whose-name-is-long-under-the-load-of-its-busiest-friday";

const views = {
  jobs: ["", (page) => page.getByRole("link", { name: "demo", exact: true }).waitFor()],
  job: ["#/jobs/demo", (page) => page.getByRole("row", { name: /^oopsie / }).waitFor()],
  "a job that failed to reach its target": ["#/jobs/closed", (page) => page.getByRole("row", { name: /^dial / }).waitFor()],
  "a job that has not run": ["#/jobs/prepared", (page) => page.getByRole("row", { name: /^oopsie / }).waitFor()],
  "a job of a long name": [`#/jobs/${long}`, (page) => page.getByRole("row", { name: /^oopsie / }).waitFor()],
  "a job that is traced": ["#/jobs/traced", (page) => page.getByText("What agents say").waitFor()],
  "no such job": ["#/jobs/none", (page) => page.getByText("There is no job").waitFor()],
  scenarios: ["#/scenarios/broken", (page) => page.locator(".faults li").first().waitFor()],
  "the form": [
    "",
    async (page) => {
      await page.keyboard.press("n");
      await page.getByText("Tasks and their weights").click();
      await page.getByText("Errors and latency").click();
      await page.getByRole("dialog").getByText("products_id_customers_limit").waitFor();
      await page.getByRole("dialog").getByRole("button", { name: "Start", exact: true }).click();
      await until("refused", async () => (await page.locator("[aria-invalid]").count()) > 0);
    },
  ],
  help: [
    "",
    async (page) => {
      await page.keyboard.press("?");
      await page.getByRole("dialog").waitFor();
    },
  ],
};

describe("the page is for everybody", () => {
  let chrome, server;
  before(async () => {
    chrome = await browse();
    const copy = await readFile(path.resolve(import.meta.dirname, "../../../scenarios/molotov_scenarios.yaml"), "utf8");
    server = await Server.start({ "broken.yaml": "tasks: 5\n", [`${long}.yaml`]: copy }, { flags: ["-apm", "127.0.0.1:0", "-apm-grace", "1s"] });
    await server.api("POST", "start", { job: "closed", port: 9, delay: 0.1 });
    await server.api("POST", "update", { job: "prepared", port: server.shop });
    await server.job(long, { scenario: long });
    await server.job("opbeans-traced", { trace: true, delay: 0.5 });
  });
  after(async () => {
    await chrome?.close();
    await server?.close();
  });

  for (const [name, [hash, ready]] of Object.entries(views)) {
    test(name, async (t) => {
      const page = await open(chrome.browser, server, { hash });
      await ready(page);
      // Not by a script element, which the Content-Security-Policy forbids.
      await page.evaluate(axe);
      for (const width of [390, 1280, 2560]) {
        for (const colorScheme of ["light", "dark"]) {
          await t.test(`${width} px, ${colorScheme}`, async () => {
            await page.setViewportSize({ width, height: 900 });
            await page.emulateMedia({ colorScheme, reducedMotion: "reduce" }); // colours that change at once
            const { violations } = await page.evaluate(async () => {
              await new Promise(requestAnimationFrame); // it is drawn at that size
              return globalThis.axe.run({ resultTypes: ["violations"] });
            });
            const serious = violations.filter((v) => v.impact === "serious" || v.impact === "critical");
            assert.deepEqual(serious.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).slice(0, 3).join(" ")}`), []);
            const { wide, screen } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, screen: innerWidth }));
            assert.ok(wide <= screen, `the page is ${wide} px wide on a screen of ${screen}`);
          });
        }
      }
      await page.context().close();
    });
  }
});
