// A server that wants a token, seen by a person with a browser.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { browse, patience, Server, until } from "./kit.mjs";

const token = "0123456789abcdef";

describe("a server with a token", () => {
  let chrome, server, context, page;
  const complaints = [];
  const logIn = async (text) => {
    await page.getByLabel("Token").fill(text);
    await page.getByRole("button", { name: "Log in" }).click();
  };
  before(async () => {
    chrome = await browse();
    server = await Server.start({}, { token });
    context = await chrome.browser.newContext();
    page = await context.newPage();
    page.setDefaultTimeout(patience);
    page.on("console", (m) => {
      if (m.type() === "error" || m.type() === "warning") complaints.push(m.text());
    });
    page.on("pageerror", (e) => complaints.push(String(e)));
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
    assert.deepEqual(complaints.filter((c) => !c.includes("status of 401")), [], "complaints of the browser, about the Content-Security-Policy for instance");
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
    await server.restart();
    await page.getByLabel("Token").waitFor();
    await logIn(token);
    await page.getByRole("alert").waitFor();
    await logIn(server.token);
    await page.getByText("Live", { exact: true }).waitFor();
  });
});
