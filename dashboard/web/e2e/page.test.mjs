import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertClean, browse, open, picture, Server, tile, until } from "./kit.mjs";

describe("the page", () => {
  let chrome, server;
  // A test that visits the page, in as many tabs as it likes; of refusals, it says which it asks for.
  const visiting = (name, run, asked) =>
    test(name, async (t) => {
      const pages = [];
      const visit = async (options) => {
        const page = await open(chrome.browser, server, options);
        pages.push(page);
        return page;
      };
      try {
        await run(visit, t);
        for (const page of pages) assertClean(page, asked);
      } finally {
        for (const page of pages) await page.context().close();
      }
    });

  before(async () => {
    chrome = await browse();
    server = await Server.start({ "broken.yaml": "description: With mistakes\ntasks:\n  - name: root\n    wieght: 2\n    request: GET /\n  - 5\n" });
  });
  after(async () => {
    await chrome?.close();
    await server?.close();
  });
  visiting("a job is started from the form, steered and stopped", async (visit, t) => {
    const page = await visit();
    let quiet;
    await t.test("start", async () => {
      await page.getByRole("button", { name: "Start a job" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Job name").fill("opbeans-python");
      await dialog.getByLabel("Target").fill(server.shop);
      await dialog.getByLabel("Workers").fill("2");
      await dialog.getByLabel("Delay").fill("0.2");
      await dialog.getByText("Tasks and their weights").click();
      await dialog.getByText("products_id_customers_limit").waitFor();
      await dialog.getByRole("button", { name: "Start", exact: true }).click();
      await page.waitForURL(/#\/jobs\/python$/);
      await page.locator(".state.running").first().waitFor();
      const config = await server.config("python");
      assert.equal(config.workers, 2);
      assert.equal(config.delay, 0.2);
      assert.equal(config.scenario, "molotov_scenarios");
      assert.equal(config.duration, 0);
    });

    await t.test("the charts move", async () => {
      const charts = page.locator(".plot canvas");
      await until("four charts", async () => (await charts.count()) === 4);
      for (let i = 0; i < 4; i++) {
        const first = await picture(charts.nth(i));
        await until(`chart ${i} moves`, async () => (await picture(charts.nth(i))) !== first);
      }
      quiet = await until("a rate", async () => (await tile(page, "Requests now")) || 0);
    });

    await t.test("workers are dragged, and the rate follows", async () => {
      const began = Date.now();
      const slider = page.getByRole("slider", { name: "Workers, slider" });
      await slider.scrollIntoViewIfNeeded();
      const box = await slider.boundingBox();
      const y = box.y + box.height / 2;
      const at = (part) => box.x + 8 + part * (box.width - 16);
      await page.mouse.move(at(1 / 19), y); // 2 of 1 to 20
      await page.mouse.down();
      for (let part = 1 / 19; part < 0.95; part += 0.03) await page.mouse.move(at(part), y);
      await page.mouse.move(at(0.9), y);
      await page.mouse.up();
      const field = page.getByRole("textbox", { name: "Workers" });
      const asked = Number(await field.inputValue());
      assert.ok(asked >= 16, `dragged to ${asked}`);
      await until("the last value wins", async () => (await server.config("python")).workers === asked);
      const { revisions } = await server.api("GET", "jobs/python/history");
      const most = 2 + (Date.now() - began) / 120; // the page waits as long between two
      assert.ok(revisions.length <= most, `throttled: ${revisions.length} updates`);
      await until("the rate follows", async () => (await tile(page, "Requests now")) > 3 * quiet);
      assert.equal(Number(await field.inputValue()), asked, "and the field stays at it");
      // One mark, or on a machine that is slow to tell, marks that lead from one to the next.
      const changes = page.getByRole("region", { name: "Changes" }).getByRole("listitem");
      await until("marks of the drag", async () => {
        const steps = (await changes.allInnerTexts()).map((text) => /workers (\d+) → (\d+)/.exec(text)).reverse();
        return steps.length > 0 && steps[0]?.[1] === "2" && steps.at(-1)?.[2] === `${asked}` && steps.every((s, i) => i === 0 || s?.[1] === steps[i - 1]?.[2]);
      });
    });

    await t.test("failures that the scenario expects stay expected", async () => {
      const field = page.getByRole("textbox", { name: "Error weight" });
      await field.fill("200");
      await field.press("Enter");
      await until("it is in force", async () => (await server.config("python")).variables.ERROR_WEIGHT === "200");
      const row = page.getByRole("row", { name: /^oopsie / });
      const cell = async (n) => (await row.getByRole("cell").nth(n).innerText()).replaceAll(",", "");
      await until("oopsie runs", async () => Number(await cell(2)) > 50);
      assert.equal(await cell(3), "0", "iterations that failed");
      await row.locator(".code.expected", { hasText: "500" }).waitFor();
      const legend = (name) => page.getByRole("region", { name: "Requests per second" }).locator(".entry", { hasText: name }).locator("b").innerText();
      await until("the chart has more of them than of others", async () => parseFloat(await legend("5xx")) > parseFloat(await legend("2xx")));
      const { snapshot } = await server.api("GET", "jobs/python");
      assert.ok(snapshot.status["500"] > 50 && snapshot.failed_requests < snapshot.status["500"] / 2, "few of them are the shop's own");
    });

    await t.test("the weight of a task", async () => {
      const field = page.getByRole("textbox", { name: "Weight of orders_post", exact: true });
      await field.fill("50");
      await field.press("Enter");
      await until("it is in force", async () => (await server.config("python")).weights?.orders_post === 50);
      const reset = page.getByRole("button", { name: "Reset the weight of orders_post to the scenario's", exact: true });
      await reset.click();
      await until("it is the scenario's", async () => (await server.config("python")).weights?.orders_post === undefined);
      await until("the field shows it", async () => (await field.inputValue()) === "1");
    });

    await t.test("a value that cannot be", async () => {
      const field = page.getByRole("textbox", { name: "Delay" });
      await field.fill("-1");
      await field.press("Enter");
      const error = page.locator(".control.wrong .error");
      await error.waitFor();
      assert.equal((await server.config("python")).delay, 0.2);
      await field.fill("0.3");
      await field.press("Enter");
      await error.waitFor({ state: "detached" });
      await until("it is in force", async () => (await server.config("python")).delay === 0.3);
    });

    await t.test("to a rate, and back", async () => {
      await page.getByRole("group", { name: "Load model" }).getByRole("button", { name: "Rate" }).click();
      const field = page.getByRole("textbox", { name: "Rate" });
      await field.fill("30");
      await field.press("Enter");
      await until("it is in force", async () => (await server.config("python")).rate === "30/s");
      await page.getByRole("group", { name: "Load model" }).getByRole("button", { name: "Workers + delay" }).click();
      await until("it is over", async () => (await server.config("python")).rate === undefined);
    });

    await t.test("stop, and start again", async () => {
      await page.getByRole("button", { name: "Stop python" }).click();
      await page.locator(".state.stopped").first().waitFor();
      const total = (await server.api("GET", "jobs/python")).snapshot.requests;
      await until("the final number", async () => (await page.locator(".tile .note").first().innerText()).replaceAll(",", "") === `${total} in all`);
      const delay = page.getByRole("textbox", { name: "Delay" });
      await delay.fill("0.4");
      await delay.press("Enter");
      await until("it waits for the next start", async () => (await server.api("GET", "jobs/python")).next?.delay === 0.4);
      await until("and is shown", async () => (await delay.inputValue()) === "0.4");
      await page.getByRole("button", { name: "Start python again" }).click();
      await page.locator(".state.running").first().waitFor();
      const config = await server.config("python");
      assert.equal(config.delay, 0.4);
      assert.equal(config.variables.ERROR_WEIGHT, "200", "with its other settings");
      await page.getByRole("button", { name: "Stop python" }).click();
      await page.locator(".state.stopped").first().waitFor();
    });

    await t.test("duplicate, and remove", async () => {
      await page.getByRole("button", { name: "Duplicate python" }).click();
      assert.equal(await page.getByRole("dialog").getByLabel("Job name").inputValue(), "python-2");
      await page.getByRole("dialog").getByRole("button", { name: "Start", exact: true }).click();
      await page.waitForURL(/#\/jobs\/python-2$/);
      await page.locator(".state.running").first().waitFor();
      const [one, two] = [await server.config("python"), await server.config("python-2")];
      assert.deepEqual({ ...two, job: "", seed: "", service_name: "" }, { ...one, job: "", seed: "", service_name: "" });
      await page.goto(`${server.url}/#/jobs/python`);
      await page.getByRole("button", { name: "Remove python" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
      await until("it is gone", async () => !("python" in (await server.api("GET", "list"))));
      await page.waitForURL(/#\/$/);
      await page.getByRole("link", { name: "python", exact: true }).waitFor({ state: "detached" });
    });
  }, /status of 400 .*\/api\/update/); // of the delay that cannot be

  visiting("a second tab stays in step", async (visit) => {
    await server.job("opbeans-shared", { workers: 2, delay: 0.1 });
    const [a, b] = [await visit({ hash: "#/jobs/shared" }), await visit({ hash: "#/jobs/shared" })];
    const field = (page, name) => page.getByRole("textbox", { name, exact: true });
    await field(a, "Workers").fill("7");
    await field(a, "Workers").press("Enter");
    await until("the other tab shows it", async () => (await field(b, "Workers").inputValue()) === "7");
    await field(b, "Delay").fill("0.25");
    await field(b, "Delay").press("Enter");
    await until("and the other way", async () => (await field(a, "Delay").inputValue()) === "0.25");
    for (const page of [a, b]) {
      const changes = page.getByRole("region", { name: "Changes" });
      await changes.getByText("workers 2 → 7").waitFor();
      await changes.getByText("delay 100 ms → 250 ms").waitFor();
    }
    await server.api("POST", "stop", { job: "shared" });
    for (const page of [a, b]) await page.locator(".state.stopped").first().waitFor();
  });

  visiting("a page that is opened late has charts and marks at once", async (visit) => {
    await server.job("opbeans-late", { workers: 3 });
    await until("some history", async () => (await server.api("GET", "jobs/late/history")).intervals.length >= 4);
    await server.api("POST", "update", { job: "late", workers: 5 });
    await until("one more", async () => (await server.api("GET", "jobs/late/history")).intervals.length >= 6);
    const page = await visit({ hash: "#/jobs/late" });
    await page.getByRole("region", { name: "Changes" }).getByText("workers 3 → 5").waitFor();
    const legend = page.getByRole("region", { name: "Requests per second" }).locator(".entry", { hasText: "2xx" }).locator("b");
    await until("a value in the legend", async () => parseFloat(await legend.innerText()) > 0);
    await server.api("POST", "stop", { job: "late" });
  });

  visiting("a refused start says so beside the field", async (visit) => {
    const page = await visit();
    await page.keyboard.press("n");
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Job name").fill("refused");
    await dialog.getByLabel("Workers").fill("many");
    await dialog.getByLabel("Duration").fill("soon");
    await dialog.getByRole("button", { name: "Start", exact: true }).click();
    const said = async (label) => {
      const input = dialog.getByLabel(label);
      await until(`${label} is marked`, async () => (await input.getAttribute("aria-invalid")) === "true");
      return dialog.locator(`[id="${await input.getAttribute("aria-describedby")}"]`).innerText();
    };
    assert.match(await said("Workers"), /must be a number from 0 to 1000000, not "many"/);
    assert.match(await said("Duration"), /soon/);
    await until("the first is focused", () => dialog.getByLabel("Workers").evaluate((input) => input === document.activeElement));
    await dialog.getByLabel("Workers").fill("2");
    await dialog.getByLabel("Duration").fill("");
    await dialog.getByRole("button", { name: "Start", exact: true }).click();
    assert.match(await said("Target"), /is required/);
    assert.ok(!("refused" in (await server.api("GET", "list"))), "nothing has started");
    await dialog.getByLabel("Target").fill(server.shop);
    await dialog.getByRole("button", { name: "Start", exact: true }).click();
    await page.waitForURL(/#\/jobs\/refused$/);
    await server.api("POST", "stop", { job: "refused" });
  }, /status of 400 .*\/api\/start/);

  visiting("a job is started by keyboard alone", async (visit) => {
    const page = await visit();
    await page.keyboard.press("n");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.type("opbeans-keys");
    await page.keyboard.press("Tab");
    await page.keyboard.type(server.shop);
    await page.keyboard.press("Enter");
    await page.waitForURL(/#\/jobs\/keys$/);
    const slider = page.getByRole("slider", { name: "Workers, slider" });
    await slider.focus();
    await slider.press("ArrowRight");
    await until("an arrow key is a step", async () => (await server.config("keys")).workers === 4);
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Stop keys" }).focus();
    await page.keyboard.press("Enter");
    await page.locator(".state.stopped").first().waitFor();
    await page.keyboard.press("j");
    await page.waitForURL(/#\/$/);
  });

  visiting("a value that is not known is not shown as 0", async (visit) => {
    await server.api("POST", "update", { job: "prepared", port: server.shop });
    const page = await visit();
    const row = page.getByRole("row", { name: /prepared/ });
    for (const label of ["Requests", "Failed", "p50", "p95", "p99", "Validity"]) {
      assert.equal(await row.locator(`[data-label="${label}"]`).innerText(), "–", label);
    }
    await row.getByRole("link").click();
    await page.getByText("The job has not run yet.").first().waitFor();
    for (const label of ["Requests", "Failed", "p50", "p95", "p99", "Received"]) {
      assert.ok(Number.isNaN(await tile(page, label)), `${label} is not known`);
    }
    await page.goBack();
    await server.api("DELETE", "jobs/prepared");
    await row.waitFor({ state: "detached" });
  });

  visiting("scenario files, with what is wrong with them", async (visit) => {
    const page = await visit({ hash: "#/scenarios" });
    const list = page.getByRole("navigation", { name: "Scenarios" });
    await list.getByRole("link", { name: /broken/ }).click();
    const faults = page.locator(".faults li");
    await until("both faults", async () => (await faults.count()) === 2);
    assert.match((await faults.allInnerTexts())[0], /line 4, column 5 unknown key "wieght" \(did you mean "weight"\?\)/);
    await page.locator('[data-line="4"].faulty', { hasText: "wieght: 2" }).waitFor();
    await list.getByRole("link", { name: /dyno/ }).click();
    await page.getByRole("region", { name: "dyno", exact: true }).getByText("wrong_customers_id").waitFor();
    await page.locator(".source", { hasText: "GET /oopsie" }).waitFor();
    await page.goto(`${server.url}/#/scenarios/none`);
    await page.getByText("There is no scenario “none”").waitFor();
  });

  visiting("a job that is traced, by a server that no agent tells anything", async (visit) => {
    await server.job("opbeans-untold", { trace: true });
    const page = await visit({ hash: "#/jobs/untold" });
    await page.getByRole("region", { name: "Traces, table" }).getByText("p50").waitFor();
    assert.equal(await page.getByText("What agents say").count(), 0);
    await server.api("POST", "stop", { job: "untold" });
  });

  visiting("a job that is seldom at work has its points on the charts", async (visit) => {
    await server.job("opbeans-seldom", { workers: 1, delay: 3600 });
    await until("its one iteration", async () => (await server.api("GET", "jobs/seldom/history")).intervals.some((i) => i.iterations > 0));
    const page = await visit({ hash: "#/jobs/seldom" });
    const chart = page.getByRole("region", { name: "Response time" }).locator("canvas");
    const colour = await page.evaluate(() => {
      const probe = document.body.appendChild(document.createElement("span"));
      probe.style.color = "var(--p50)"; // which is drawn upon the others
      return getComputedStyle(probe).color.match(/\d+/g).slice(0, 3).map(Number);
    });
    await until("a dot", () =>
      chart.evaluate((canvas, [r, g, b]) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        for (let i = 0; i < data.length; i += 4) if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) return true;
        return false;
      }, colour));
    await server.api("POST", "stop", { job: "seldom" });
  });

  visiting("all jobs are stopped, once that is confirmed", async (visit) => {
    await server.job("opbeans-one");
    const page = await visit();
    await page.locator("header").getByRole("button", { name: "Stop all" }).click();
    await page.getByRole("dialog").getByRole("button", { name: /^Stop (it|\d+ jobs)$/ }).click();
    await until("none runs", async () => Object.values(await server.api("GET", "list")).every((job) => !job.running));
    await until("the page says so", async () => (await tile(page, "Running")) === 0);
    await server.api("POST", "start", { job: "demo" });
  });

  visiting("the choice of colours stays", async (visit) => {
    const page = await visit({ colorScheme: "light" });
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.getByRole("button", { name: /Switch to: light/ }).click();
    await page.getByRole("button", { name: /Switch to: dark/ }).click();
    const dark = await background();
    assert.notEqual(dark, light);
    await page.reload();
    assert.equal(await background(), dark);
  });
});

test("a server that is killed and restarted", async () => {
  const chrome = await browse();
  const server = await Server.start({}, { restarts: true });
  try {
    await server.job("opbeans-lost");
    const page = await open(chrome.browser, server);
    await page.getByRole("link", { name: "lost", exact: true }).waitFor();
    await server.kill();
    await page.getByText("Reconnecting…").waitFor();
    await page.getByRole("alert").getByText("The connection to the server was lost").waitFor();
    await page.getByRole("link", { name: "lost", exact: true }).waitFor(); // what was known stays
    await server.run();
    await page.getByText("Connected again. The server was restarted.").waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByRole("link", { name: "lost", exact: true }).waitFor({ state: "detached" });
    await until("numbers come again", async () => (await tile(page, "Requests now")) > 0);
  } finally {
    await chrome.close();
    await server.close();
  }
});

test("what happens while the page connects again is not lost", async () => {
  const chrome = await browse();
  const server = await Server.start({}, { restarts: true });
  try {
    const page = await open(chrome.browser, server);
    const told = new Promise((done) => {
      page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => String(payload).includes("opbeans-meanwhile") && done()));
    });
    let started; // with the first answer of the server that has restarted
    const late = async (route) => {
      let response;
      try {
        response = await route.fetch(); // without the job that starts now
      } catch {
        return route.abort(); // there is no server yet
      }
      await (started ??= server.job("opbeans-meanwhile"));
      await told;
      await route.fulfill({ response });
    };
    await page.route("**/api/jobs", late);
    await server.kill();
    await page.getByText("Reconnecting…").waitFor();
    await server.run();
    await page.getByText("Connected again. The server was restarted.").waitFor();
    await page.getByRole("link", { name: "meanwhile", exact: true }).waitFor();
    await page.unrouteAll({ behavior: "wait" });
  } finally {
    await chrome.close();
    await server.close();
  }
});

test("what agents say of a traced job", async () => {
  const chrome = await browse();
  const server = await Server.start({}, { flags: ["-apm", "127.0.0.1:0", "-apm-grace", "1s", "-trace-url", "http://localhost/traces/{trace_id}"] });
  try {
    const page = await open(chrome.browser, server);
    await page.getByRole("button", { name: "Start a job" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Job name").fill("traced");
    await dialog.getByLabel("Target").fill(server.shop);
    await dialog.getByLabel("Trace", { exact: true }).check();
    await dialog.getByRole("button", { name: "Start", exact: true }).click();
    const agents = page.getByRole("region", { name: "What agents say" });
    await agents.getByText(/^[1-9][\d,]* missing/).waitFor(); // the shop has no agent

    // An agent tells, late, of the requests whose traces the page shows.
    const { traces } = await server.api("GET", "jobs/traced/traces");
    const spans = traces.map((t) => ({
      traceId: t.trace_id, spanId: t.span_id.replace(/^./, (c) => (c === "f" ? "1" : "f")), parentSpanId: t.span_id, name: "GET /", kind: 2,
      startTimeUnixNano: `${Date.parse(t.time)}000000`, endTimeUnixNano: `${Date.parse(t.time)}000001`,
      attributes: [{ key: "http.response.status_code", value: { intValue: String(t.status) } }],
    }));
    const body = JSON.stringify({ resourceSpans: [{ resource: { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] }, scopeSpans: [{ spans }] }] });
    const answer = await fetch(`${server.agents}/v1/traces`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    assert.equal(answer.status, 200);
    await until("some are found", async () => (await tile(page, "Found", agents)) > 0);

    const link = page.getByRole("region", { name: "Traces, table" }).getByRole("link").first();
    const { href, id } = await link.evaluate((a) => ({ href: a.href, id: a.innerText }));
    assert.equal(href, `http://localhost/traces/${id}`);
    await server.api("POST", "stop", { job: "traced" });
    await agents.getByText("final").waitFor();
    assertClean(page);
  } finally {
    await chrome.close();
    await server.close();
  }
});
