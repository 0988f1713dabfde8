// One official client on one transport, for clients_test.go: it says on standard
// output, in lines of JSON, what it sees. It ends when its standard input does. What
// TOKEN holds, it sends as its token.
//
//   node client.mjs visit|bridge GENERATION polling|websocket|default URL [LAST_REVISION]
import { createRequire } from "node:module";

const [, , script, generation, transport, url, last] = process.argv;
const library = createRequire(import.meta.url)(`socket.io-client-${generation}`);
const { default: run } = await import(`./${script}.mjs`);
const say = (what, more = {}) => console.log(JSON.stringify({ what, ...more }));

const options = transport === "default" ? {} : { transports: [transport] };
if (process.env.TOKEN) options.extraHeaders = { Authorization: `Bearer ${process.env.TOKEN}` };
const socket = run(library.io ?? library, url, options, last, say);
process.stdin.on("end", () => socket.close()); // after which nothing keeps the process
process.stdin.resume();
