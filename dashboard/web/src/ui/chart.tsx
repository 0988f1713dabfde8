import { effect, signal, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Mark } from "../diff";
import { change, clock, text, tick, unknown, type Quantity } from "../format";
import { isActive, type Job } from "../store";
import { colour, colours } from "../theme";

export interface Line {
  label: string;
  colour: string; // of the style sheet
  fill?: string; // down to the line before, or to zero
  area?: boolean; // without a line on its upper end
  dash?: number[];
  values: (job: Job) => (number | null)[];
  shown?: (job: Job) => (number | null)[]; // what the legend says, if other than values
}

interface Props {
  job: Job;
  title: string;
  lines: Line[];
  format: (x: number) => Quantity;
  span: number; // seconds
  log?: boolean;
  whole?: boolean; // only whole numbers on the axis
  children?: ComponentChildren; // switches
}

/** A chart of the last minutes, with a legend that shows the values under the cursor. */
export function Chart(props: Props) {
  const { job, lines, format } = props;
  const place = useRef<HTMLDivElement>(null);
  const cursor = useMemo(() => signal<number | null>(null), []);
  const live = useRef(props);
  live.current = props;
  const shape = lines.map((l) => l.label + l.colour).join() + props.log + props.title;

  useEffect(() => {
    let plot: uPlot | null = null;
    const element = place.current!;
    const build = () => {
      plot?.destroy();
      plot = new uPlot(options(live, cursor, element), data(live.current), element);
      window_(plot, live.current);
    };
    const stopColours = effect(() => {
      void colours.value;
      build();
    });
    const stopData = effect(() => {
      void live.current.job.drawn.value;
      if (!plot) return;
      plot.batch(() => {
        plot!.setData(data(live.current), false);
        window_(plot!, live.current);
      });
    });
    const resize = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height: element.clientHeight }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      stopColours();
      stopData();
      plot?.destroy();
    };
  }, [job, shape]);
  useEffect(() => {
    job.drawn.value++; // another span: draw anew
  }, [props.span]);

  return (
    <section class="card chart" aria-label={props.title}>
      <header>
        <h3>{props.title}</h3>
        <div class="switches">{props.children}</div>
      </header>
      <Legend job={job} lines={lines} format={format} cursor={cursor} />
      <div class="plot">
        <div class="drawing" ref={place} role="img" aria-label={`${props.title} of ${job.name}, the last ${Math.round(props.span / 60)} minutes`} />
        <Nothing job={job} />
      </div>
    </section>
  );
}

/** Says why a chart is empty. */
function Nothing({ job }: { job: Job }) {
  void job.drawn.value;
  if (job.series.time.length > 0) return null;
  const { state } = job.info.value;
  return <p class="nothing">{state === "pending" ? "The job has not run yet." : isActive(state) ? "Nothing is known yet." : "The last minutes of this run are not known."}</p>;
}

function Legend({ job, lines, format, cursor }: { job: Job; lines: Line[]; format: (x: number) => Quantity; cursor: Signal<number | null> }) {
  void job.drawn.value;
  const { time } = job.series;
  const at = cursor.value ?? time.length - 1;
  const mark = cursor.value === null ? undefined : near(job.marks.peek(), time[at]);
  return (
    <div class="legend">
      {lines.map((l) => {
        const value = (l.shown ?? l.values)(job)[at];
        return (
          <span key={l.label} class="entry">
            <span class={`swatch ${l.dash ? "dashed" : l.area ? "area" : ""}`} style={{ color: `var(--${l.colour})` }} />
            {l.label} <b>{value === null || value === undefined ? unknown : text(format(value))}</b>
          </span>
        );
      })}
      <span class="when">{cursor.value !== null && time[at] !== undefined ? clock(time[at]! * 1000) : ""}</span>
      {mark && <span class="what">{mark.changes.map(change).join(", ")}</span>}
    </div>
  );
}

/** The mark that is close to a point. */
const near = (marks: Mark[], at: number | undefined) => (at === undefined ? undefined : marks.findLast((m) => Math.abs(m.time - at) < 1.5));

const data = ({ job, lines }: Props): uPlot.AlignedData => [job.series.time, ...lines.map((l) => l.values(job))] as uPlot.AlignedData;

function window_(plot: uPlot, { job, span }: Props) {
  const end = job.series.last ?? Date.now() / 1000;
  // A young run fills the chart from its first minute on.
  const first = Math.min(job.series.time[0] ?? end, end - 60);
  plot.setScale("x", { min: Math.max(end - span, first), max: end });
}

function options(live: { current: Props }, cursor: Signal<number | null>, place: HTMLElement): uPlot.Options {
  const em = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const font = `${Math.round(0.78 * em)}px ${getComputedStyle(place).fontFamily}`;
  const { lines, log, format, whole } = live.current;
  const grid = { stroke: colour("grid"), width: 1 };
  const axis: uPlot.Axis = { stroke: colour("muted"), font, grid, ticks: { show: false }, gap: 6 };
  return {
    width: place.clientWidth,
    height: place.clientHeight,
    padding: [10, 1.6 * em, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: `charts-${live.current.job.name}` },
      drag: { x: false, y: false },
      points: { size: 6 },
      y: false,
    },
    scales: {
      x: { time: true },
      y: log
        ? { distr: 3, range: (_, min, max) => (min === null || max === null ? [1, 1000] : [10 ** Math.floor(Math.log10(Math.max(min, 0.001))), 10 ** Math.ceil(Math.log10(Math.max(max, 0.002)))]) }
        : { range: (_, __, max) => [0, max === null || max <= 0 ? 1 : max * 1.12] },
    },
    axes: [
      { ...axis, size: 1.9 * em, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 180, 300, 600], values: (_, splits) => splits.map((s) => clock(s * 1000)), space: 5 * em },
      {
        ...axis,
        size: 4.3 * em,
        space: 2.4 * em,
        ...(whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000] } : {}),
        values: (_, splits) => splits.map((s) => (s === null || (log && !/^10*$/.test(String(Math.round(s * 1e6)))) ? "" : tick(format(s)))),
      },
    ],
    series: [
      {},
      ...lines.map((l, i): uPlot.Series => {
        const stroke = colour(l.colour);
        return { label: l.label, ...(l.area ? {} : { stroke }), width: l.area ? 0 : 1.5, points: { show: false, filter: lonely, size: 4, fill: stroke }, ...(l.dash ? { dash: l.dash } : {}), ...(l.fill && !below(lines, i) ? { fill: colour(l.fill) } : {}) };
      }),
    ],
    bands: lines.flatMap((l, i) => (l.fill && below(lines, i) ? [{ series: [i + 1, i] as [number, number], fill: colour(l.fill) }] : [])),
    hooks: {
      draw: [(plot) => marks(plot, live.current.job.marks.peek())],
      setCursor: [(plot) => (cursor.value = plot.cursor.idx ?? null)],
    },
  };
}

/** Points that no line leads to: a job that is seldom at work has no others. */
function lonely(plot: uPlot, i: number): number[] | null {
  const values = plot.data[i]!;
  const alone = Array.from(values.keys()).filter((at) => values[at] != null && values[at - 1] == null && values[at + 1] == null);
  return alone.length > 0 ? alone : null;
}

/** Whether the line before is the lower end of this one's area. */
const below = (lines: Line[], i: number) => i > 0 && lines[i - 1]!.fill !== undefined;

/** Draws a line for each change of the job's settings. */
function marks(plot: uPlot, all: Mark[]) {
  const { ctx, bbox } = plot;
  const ratio = uPlot.pxRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top - 8 * ratio, bbox.width, bbox.height + 8 * ratio);
  ctx.clip();
  ctx.strokeStyle = ctx.fillStyle = colour("mark");
  ctx.lineWidth = ratio;
  for (const m of all) {
    const x = Math.round(plot.valToPos(m.time, "x", true));
    if (x < bbox.left - 1) continue;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(x - 4 * ratio, bbox.top - 6 * ratio);
    ctx.lineTo(x + 4 * ratio, bbox.top - 6 * ratio);
    ctx.lineTo(x, bbox.top);
    ctx.fill();
  }
  ctx.restore();
}
