import { useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { colour, colours } from "../theme";
import type { Job } from "../store";
import { prepare, resized } from "./canvas";

const span = 60; // seconds

/** The request rate of the last minute, and the failures in it. */
export function Sparkline({ job }: { job: Job }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useSignalEffect(() => {
    void job.drawn.value;
    void colours.value;
    void resized.value;
    if (ref.current) draw(ref.current, job);
  });
  return <canvas ref={ref} class="sparkline" role="img" aria-label={`Request rate of ${job.name} in the last minute`} />;
}

function draw(canvas: HTMLCanvasElement, job: Job) {
  const at = prepare(canvas);
  if (!at) return;
  const { ctx, width, height } = at;
  const { time, data } = job.series;
  const end = job.series.last;
  if (end === undefined) return;
  let first = time.length - 1;
  while (first > 0 && time[first]! > end - span) first--;
  let top = 0;
  for (let i = first; i < time.length; i++) top = Math.max(top, data.requests[i] ?? 0);
  if (top === 0) top = 1;
  const x = (i: number) => width - ((end - time[i]!) / span) * width;
  const y = (v: number) => height - 1.5 - (v / top) * (height - 4);
  const line = (values: (number | null)[], stroke: string, fill: string) => {
    ctx.beginPath();
    let begun = -1;
    const close = (i: number) => {
      if (begun < 0 || i <= begun) return;
      ctx.stroke();
      if (fill === "") return;
      ctx.lineTo(x(i), height);
      ctx.lineTo(x(begun), height);
      ctx.fill();
    };
    ctx.strokeStyle = stroke;
    ctx.fillStyle = fill;
    for (let i = first; i < time.length; i++) {
      const v = values[i];
      if (v === null || v === undefined) {
        close(i - 1);
        begun = -1;
        continue;
      }
      if (begun < 0) {
        ctx.beginPath();
        ctx.moveTo(x(i), y(v));
        begun = i;
      } else {
        ctx.lineTo(x(i), y(v));
      }
    }
    close(time.length - 1);
  };
  ctx.lineWidth = 1.5;
  ctx.lineJoin = "round";
  line(data.requests, colour("accent"), colour("accent-fill"));
  if (data.failed.slice(first).some((v) => v !== null && v > 0)) line(data.failed, colour("bad"), "");
}
