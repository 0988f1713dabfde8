// What client.mjs does, by a page in a real browser, which comes from another origin
// than the server. The browser is Debian's chromium, or what CHROMIUM names.
//
//   node browser.mjs visit|bridge GENERATION polling|websocket|default URL [LAST_REVISION]
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const [, , script, generation, transport, url, last = ""] = process.argv;
const options = transport === "default" ? {} : { transports: [transport] };
const page = `<!doctype html><meta charset="utf-8"><title>client</title>
<script src="/socket.io.js"></script>
<script type="module">
  import run from "/script.mjs";
  const say = (what, more = {}) => console.log(JSON.stringify({ what, ...more }));
  window.socket = run(io, ...${JSON.stringify([url, options, last])}, say);
</script>`;
const files = {
  "/": ["text/html", page],
  "/script.mjs": ["text/javascript", await readFile(new URL(`${script}.mjs`, import.meta.url))],
  "/socket.io.js": [
    "text/javascript",
    await readFile(new URL(`node_modules/socket.io-client-${generation}/dist/socket.io.js`, import.meta.url)),
  ],
};
const server = createServer((request, response) => {
  const [type, body] = files[request.url] ?? [];
  response.writeHead(type ? 200 : 404, { "Content-Type": type ?? "text/plain" }).end(body);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
const tab = await browser.newPage();
tab.on("console", (message) => {
  if (message.type() === "log") console.log(message.text()); // errors are of the network, while there is no server
});
tab.on("pageerror", (error) => {
  console.error(error);
  process.exitCode = 1;
});
process.stdin.on("end", async () => {
  await tab.evaluate(() => window.socket.close());
  await tab.close();
  await browser.close();
  server.close();
});
process.stdin.resume();
await tab.goto(`http://localhost:${server.address().port}/`);
