// A backend of the StatsD server that prints what each flush holds, as a line of JSON.
'use strict';

exports.init = (startupTime, config, events) => {
  events.on('flush', (timestamp, metrics) => {
    const timings = {};
    for (const [name, data] of Object.entries(metrics.timer_data)) {
      timings[name] = data.count;
    }
    console.log(JSON.stringify({ counters: metrics.counters, timings, gauges: metrics.gauges }));
  });
  return true;
};
