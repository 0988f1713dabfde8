// A server that wants a token, seen by a person with a browser.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertClean, browse, Server, until, watch } from "./kit.mjs";

const token = "0123456789abcdef";

describe("a server with a token", () => {
  let chrome, server, context, page;
  const logIn = async (text) => {
    await page.getByLabel("Token").fill(text);
    await page.getByRole("button", { name: "Log in" }).click();
  };
  before(async () => {
    chrome = await browse();
    server = await Server.start({}, { token, restarts: true });
    context = await chrome.browser.newContext();
    page = await context.newPage();
    watch(page, server);
  });
  after(async () => {
    await chrome?.close();
    await server?.close();
  });

  test("asks for it, and nothing of the page is there before", async () => {
    const answer = await page.goto(server.url);
    assert.equal(answer.status(), 401);
    assert.equal(await page.evaluate(() => document.activeElement?.id), "token", "one can type at once");
    assert.equal(await page.getByText("demo").count(), 0);
    assert.deepEqual(await context.cookies(), []);
  });

  test("says that a token is wrong", async () => {
    await logIn("0123456789abcdeF");
    await page.getByRole("alert").getByText("That is not the token.").waitFor();
    assert.deepEqual(await context.cookies(), []);
  });

  test("shows the page, live, to who knows it", async () => {
    await logIn(token);
    await page.getByText("Live", { exact: true }).waitFor(); // over a WebSocket, with the cookie
    await page.getByRole("link", { name: "demo", exact: true }).waitFor();
    const [cookie, ...others] = await context.cookies();
    assert.deepEqual(others, []);
    assert.equal(cookie.httpOnly, true);
    assert.equal(cookie.sameSite, "Strict");
    assert.ok(!cookie.value.includes(token));
    assert.equal(await page.evaluate(() => document.cookie), "", "no script can read it");
    assertClean(page, /status of 401/);
  });

  test("lets the page change something", async () => {
    await page.getByRole("button", { name: "Start a job" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Job name").fill("mine");
    await dialog.getByLabel("Target").fill(server.shop);
    await dialog.getByRole("button", { name: "Start", exact: true }).click();
    await page.waitForURL(/#\/jobs\/mine$/);
    await until("it runs", async () => (await server.api("GET", "jobs/mine")).state === "running");
  });

  test("asks again once it has another token", async () => {
    await server.kill();
    server.token = token + "0";
    await server.run();
    await page.getByLabel("Token").waitFor();
    await logIn(token);
    await page.getByRole("alert").waitFor();
    await logIn(server.token);
    await page.getByText("Live", { exact: true }).waitFor();
    assert.match(page.url(), /\/#\/jobs\/mine$/, "and leads to what was asked for");
    await page.getByText("There is no job “mine”").waitFor();
  });
});
