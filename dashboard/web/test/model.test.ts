import { describe, expect, test, vi } from "vitest";
import { changesOf, mark, type Mark } from "../src/diff";
import { linear, logarithmic, roundUp } from "../src/scale";
import { Series } from "../src/series";
import { merge } from "../src/merge";
import { Sender } from "../src/throttle";
import type { Config, Interval, StatsEvent } from "../src/types";

const config = (more: Partial<Config>): Config => ({ job: "a", scenario: "s", url: "http://x", workers: 1, delay: 1, duration: 0, ...more });

describe("marks", () => {
  test("fields that differ, those of objects by their entries", () => {
    const changes = changesOf(config({ variables: { A: "1", B: "2" }, weights: { t: 1 } }), config({ workers: 5, variables: { A: "1", B: "3" } }));
    expect(changes).toEqual([
      { field: "variables.B", from: "2", to: "3" },
      { field: "weights.t", from: 1, to: null },
      { field: "workers", from: 1, to: 5 },
    ]);
  });

  test("the steps of a drag are one mark", () => {
    let marks: Mark[] = [];
    for (let i = 1; i <= 10; i++) marks = mark(marks, { time: 100 + i / 5, revision: i + 1, changes: [{ field: "workers", from: i, to: i + 1 }] });
    expect(marks).toEqual([{ time: 102, revision: 11, changes: [{ field: "workers", from: 1, to: 11 }] }]);
    marks = mark(marks, { time: 110, revision: 12, changes: [{ field: "workers", from: 11, to: 1 }] });
    expect(marks).toHaveLength(2);
  });

  test("there and back is none", () => {
    let marks = mark([], { time: 1, revision: 2, changes: [{ field: "workers", from: 1, to: 2 }] });
    marks = mark(marks, { time: 1.5, revision: 3, changes: [{ field: "workers", from: 2, to: 1 }] });
    expect(marks).toEqual([]);
  });
});

describe("a sender", () => {
  test("sends the last value of each key, one request at a time, not too often", async () => {
    vi.useFakeTimers();
    const sent: { at: number; patch: Record<string, unknown> }[] = [];
    let running = 0;
    const began = Date.now();
    const sender = new Sender<Record<string, unknown>>(
      async (patch) => {
        expect(++running).toBe(1);
        sent.push({ at: Date.now() - began, patch });
        await new Promise((done) => setTimeout(done, 30));
        running--;
      },
      merge,
      100,
    );
    for (let i = 1; i <= 50; i++) {
      sender.push({ workers: i, weights: { [i % 2 ? "odd" : "even"]: i } });
      await vi.advanceTimersByTimeAsync(10);
    }
    await vi.advanceTimersByTimeAsync(1000);
    expect(sent.length).toBeLessThanOrEqual(7);
    for (let i = 1; i < sent.length; i++) expect(sent[i]!.at - sent[i - 1]!.at).toBeGreaterThanOrEqual(100);
    expect(sent.at(-1)!.patch).toEqual({ workers: 50, weights: { odd: 49, even: 50 } });
    expect(sender.idle).toBe(true);
    vi.useRealTimers();
  });
});

describe("scales of sliders", () => {
  test("round numbers", () => expect([0.3, 1, 1.1, 4, 7, 30, 101].map(roundUp)).toEqual([0.5, 1, 2, 5, 10, 50, 200]));

  test("positions and values belong together", () => {
    const log = logarithmic(0.001, 60, true);
    expect(log.toValue(0)).toBe(0);
    expect(log.toPosition(0)).toBe(0);
    for (let p = 1; p <= log.max; p++) expect(Math.abs(log.toPosition(log.toValue(p)) - p)).toBeLessThanOrEqual(1);
    expect(log.toValue(log.max)).toBeCloseTo(60, 5);
    const straight = linear(3, 1, 20, 1);
    expect([straight.min, straight.max, straight.step]).toEqual([1, 20, 1]);
    expect(linear(400, 1, 20, 1).max).toBe(1000);
  });
});

const times = { p50_ms: 1, p95_ms: 2, p99_ms: 3, max_ms: 4 };
const at = (s: number) => new Date(1_700_000_000_000 + s * 1000).toISOString();
const interval = (s: number, requests: number): Interval => ({
  time: at(s), seconds: 1, revision: 1, workers: 1, vus: 1, active: 1, iterations: requests, failed_iterations: 0, requests, failed_requests: 0,
  status: { "2xx": requests }, service: times, response: times,
});
const stats = (s: number, requests: number) => ({ ...interval(s, requests), job: "a", state: "running", started: at(0), valid: true, interval: interval(s, requests), total: interval(s, requests) }) as unknown as StatsEvent;

describe("a series", () => {
  test("history goes under what the stream has told", () => {
    const series = new Series();
    series.stats(stats(10.5, 100));
    series.stats(stats(11.5, 110));
    series.history([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((s) => interval(s, s)));
    expect(series.data.requests).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 110]);
    expect(series.time).toEqual([...series.time].sort((a, b) => a - b));
  });

  test("a gap is a gap, and history fills it", () => {
    const series = new Series();
    series.stats(stats(1, 1));
    series.stats(stats(2, 2));
    series.stats(stats(9, 9));
    expect(series.data.requests).toEqual([1, 2, null, 9]);
    series.history([1, 2, 3, 4, 5, 6, 7, 8].map((s) => interval(s, s)));
    expect(series.data.requests).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("is bounded", () => {
    const series = new Series();
    for (let s = 0; s < 3000; s++) series.stats(stats(s, s));
    expect(series.time.length).toBeLessThan(1400);
    expect(series.time.length).toBeGreaterThanOrEqual(600);
    expect(series.data.requests.at(-1)).toBe(2999);
  });
});
