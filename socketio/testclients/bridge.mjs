// What the suite's page does with the StatsD bridge: it subscribes to everything, and
// adds up the counters that lie four labels below the method, by path and status.
export default (io, url, options, _, say) => {
  const socket = io(url, options);

  socket.on("connect", () => socket.emit("subscribe", "all", (answer) => say("subscribed", { answer })));
  socket.on("timestamp", (seconds) => say("timestamp", { seconds }));
  socket.on("all", ({ gauges, timers, counters }) => {
    const served = {};
    let timings = 0;
    const walk = (node, depth, visit, labels = []) => {
      if (depth === 0) visit(labels, node);
      else for (const [label, inner] of Object.entries(node ?? {})) walk(inner, depth - 1, visit, [...labels, label]);
    };
    // host, method, four labels of an address, path
    walk(counters.molotov, 7, (labels, statuses) => {
      for (const [status, n] of Object.entries(statuses)) {
        const key = `${labels[1]} ${labels[6]} ${status}`;
        served[key] = (served[key] ?? 0) + n;
      }
    });
    walk(timers.molotov, 7, (_labels, values) => (timings += values.length));
    say("all", { served, timings, gauges: Object.keys(gauges) });
  });
  socket.on("disconnect", (reason) => say("disconnect", { reason }));
  socket.on("connect_error", (error) => say("connect_error", { message: String(error) }));
  return socket;
};
