import { useSignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import * as api from "../api";
import { count, percent, text, tick, time } from "../format";
import { isActive, type Job } from "../store";
import { colour, colours } from "../theme";
import type { Bucket, Distribution, Times } from "../types";
import { prepare, resized } from "../ui/canvas";
import { Segmented } from "../ui/parts";
import { usePoll } from "../ui/poll";

const left = 8;

/** How long requests and iterations took, since the start. */
export function DistributionChart({ job }: { job: Job }) {
  const of = useSignal<"response" | "service">("response");
  const all = useSignal<Distribution | null>(null);
  const over = useSignal<Bucket | null>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const active = isActive(job.info.value.state);
  usePoll(async () => (all.value = await api.distribution(job.name)), active ? 2000 : 15_000, [job, active]);
  const times = (): Times | undefined => job.snapshot.value?.[of.value] ?? job.stats.value?.total[of.value];

  useSignalEffect(() => {
    void colours.value;
    void resized.value;
    if (canvas.current) draw(canvas.current, all.value?.[of.value] ?? [], times(), over.value);
  });
  const buckets = all.value?.[of.value] ?? [];
  const total = buckets.reduce((n, b) => n + b.count, 0);
  const hover = (e: PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const axis = axisOf(buckets, box.width);
    over.value = axis ? (buckets.find((b) => e.clientX - box.left >= axis(b.from_ms) && e.clientX - box.left < axis(b.to_ms)) ?? null) : null;
  };
  const t = times();
  return (
    <section class="card chart" aria-label="Latency distribution">
      <header>
        <h3>
          Latency distribution <span class="muted">since the start</span>
        </h3>
        <div class="switches">
          <Segmented label="Which times" value={of.value} options={[["response", "Response"], ["service", "Service"]]} onChange={(v) => (of.value = v)} />
        </div>
      </header>
      <div class="legend">
        {over.value ? (
          <span class="entry">
            {text(time(over.value.from_ms))} to {text(time(over.value.to_ms))} <b>{text(count(over.value.count))}</b> <b>{text(percent(over.value.count, total))}</b>
          </span>
        ) : (
          <>
            <span class="entry">
              p50 <b>{text(time(t?.p50_ms))}</b>
            </span>
            <span class="entry">
              p95 <b>{text(time(t?.p95_ms))}</b>
            </span>
            <span class="entry">
              p99 <b>{text(time(t?.p99_ms))}</b>
            </span>
            <span class="entry">
              max <b>{text(time(t?.max_ms))}</b>
            </span>
          </>
        )}
      </div>
      <div class="plot">
        <canvas
          ref={canvas}
          class="distribution"
          role="img"
          aria-label={`Distribution of the ${of.value} times of ${job.name}: p50 ${text(time(t?.p50_ms))}, p99 ${text(time(t?.p99_ms))}`}
          onPointerMove={hover}
          onPointerLeave={() => (over.value = null)}
        />
        {total === 0 && <p class="nothing">{all.value ? "No iteration has ended yet." : "Loading…"}</p>}
      </div>
    </section>
  );
}

/** What the logarithmic axis shows: all buckets, and a power of ten at least. */
function rangeOf(buckets: Bucket[]): [from: number, to: number] | null {
  const first = buckets[0];
  const last = buckets.at(-1);
  if (!first || !last) return null;
  const from = Math.max(first.from_ms, 0.001);
  const beside = Math.max(1, Math.sqrt((10 * from) / last.to_ms));
  return [from / beside, last.to_ms * beside];
}

/** Where a time is on that axis. */
function axisOf(buckets: Bucket[], width: number): ((ms: number) => number) | null {
  const range = rangeOf(buckets);
  if (!range) return null;
  const [from, to] = range;
  return (ms) => left + (Math.log(Math.max(ms, 0.001) / from) / Math.log(to / from)) * (width - 2 * left);
}

function draw(canvas: HTMLCanvasElement, buckets: Bucket[], times: Times | undefined, over: Bucket | null) {
  const at = prepare(canvas);
  if (!at) return;
  const { ctx, width, height } = at;
  const style = getComputedStyle(canvas);
  ctx.font = style.font;
  const em = parseFloat(style.fontSize);
  const x = axisOf(buckets, width);
  const floor = height - 2 * em;
  ctx.strokeStyle = colour("grid");
  ctx.beginPath();
  ctx.moveTo(0, floor + 0.5);
  ctx.lineTo(width, floor + 0.5);
  ctx.stroke();
  if (!x) return;
  // Buckets are of different widths: the area of a bar, not its height, is its count.
  const density = (b: Bucket) => b.count / (x(b.to_ms) - x(b.from_ms));
  const top = Math.max(...buckets.map(density));
  for (const b of buckets) {
    const h = Math.max(1, (density(b) / top) * (floor - 2.4 * em));
    ctx.fillStyle = colour(b === over ? "accent" : "bar");
    ctx.fillRect(x(b.from_ms) + 0.5, floor - h, Math.max(1, x(b.to_ms) - x(b.from_ms) - 1), h);
  }
  ctx.textBaseline = "top";
  ctx.textAlign = "center";
  ctx.fillStyle = colour("muted");
  let free = 0;
  for (const ms of ticks(...rangeOf(buckets)!)) {
    const shown = tick(time(ms));
    const half = ctx.measureText(shown).width / 2;
    const middle = x(ms);
    if (middle - half < free || middle + half > width) continue;
    free = middle + half + 14;
    ctx.fillText(shown, middle, floor + 0.6 * em);
  }
  ctx.textBaseline = "alphabetic";
  let before = -Infinity;
  for (const [name, ms] of [["p50", times?.p50_ms], ["p95", times?.p95_ms], ["p99", times?.p99_ms]] as const) {
    if (ms === null || ms === undefined) continue;
    const middle = Math.round(x(ms)) + 0.5;
    ctx.strokeStyle = ctx.fillStyle = colour(name);
    ctx.beginPath();
    ctx.moveTo(middle, 1.4 * em);
    ctx.lineTo(middle, floor);
    ctx.stroke();
    if (middle - before > 2.4 * em && middle < width - em) {
      ctx.fillText(name, middle, 1.1 * em);
      before = middle;
    }
  }
}

/** 1, 2 and 5 times the powers of ten between two times. */
function* ticks(from: number, to: number) {
  for (let power = 10 ** Math.floor(Math.log10(Math.max(from, 0.001))); power <= to; power *= 10) {
    for (const m of [1, 2, 5]) if (m * power >= from && m * power <= to) yield m * power;
  }
}
