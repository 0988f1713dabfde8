// What a client does, in Node.js and in a browser alike; it says what it sees.
export default (io, url, options, last, say) => {
  const socket = io(url, options);
  const call = (name, ...args) => new Promise((answer) => socket.emit(name, ...args, answer));
  let revision = 0;
  let connects = 0;

  socket.on("connect", async () => {
    connects++;
    say("connect", { connects, id: socket.id });
    if (connects > 1) return;
    say("answers", {
      answers: [
        await call("list"),
        await call("start", {}),
        await call("list", { id: 7, text: "hello 😀", body: {} }),
        await call("dance", 1),
      ],
    });
  });

  socket.on("job", (job) => {
    if (connects > 1) {
      say("job", { job: job.job, revision: job.revision });
      return;
    }
    if (job.state !== "running") return; // the end of the first server
    if (revision !== 0 && job.revision !== revision + 1) {
      say("disorder", { before: revision, now: job.revision });
    }
    revision = job.revision;
    if (revision === Number(last)) {
      const { engine } = socket.io;
      const ordered = () => say("ordered", { job: job.job, transport: engine.transport.name });
      // With its defaults it upgrades, however slowly.
      if (options.transports || engine.transport.name === "websocket") ordered();
      else engine.once("upgrade", ordered);
    }
  });

  socket.on("stats", (stats) => say("stats", { job: stats.job, requests: stats.total.requests }));
  socket.on("service_state", (state) => {
    if (Object.values(state.data)[0] !== "update") say("service_state", state);
  });
  socket.on("disconnect", (reason) => say("disconnect", { reason }));
  socket.on("connect_error", (error) => say("connect_error", { message: String(error) }));
  return socket;
};
