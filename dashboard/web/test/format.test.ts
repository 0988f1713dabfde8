import { describe, expect, test } from "vitest";
import { bytes, change, count, duration, parseRate, percent, rate, text, tick, time } from "../src/format";

describe("numbers for people", () => {
  test.each([
    [null, "–"], [undefined, "–"], [NaN, "–"], [0, "0 ms"], [0.4321, "0.43 ms"], [9.994, "9.99 ms"], [9.995, "10.0 ms"], [42.12, "42.1 ms"],
    [99.96, "100 ms"], [999.4, "999 ms"], [999.6, "1.00 s"], [12_340, "12.3 s"], [59_994, "60.0 s"], [61_000, "1m 1s"],
  ])("time %s ms", (ms, want) => expect(text(time(ms)).replace("\u00a0", " ")).toBe(want));

  test.each([[null, "–"], [0, "0 /s"], [0.333, "0.33 /s"], [12.34, "12.3 /s"], [123_456, "123,456 /s"]])("rate %s", (x, want) => expect(text(rate(x)).replace("\u00a0", " ")).toBe(want));

  test.each([[undefined, "–"], [0, "0"], [999_999, "999,999"], [1_234_567, "1.23 M"], [5e9, "5.00 G"]])("count %s", (n, want) => expect(text(count(n)).replace("\u00a0", " ")).toBe(want));

  test.each([[0, "0 B"], [999, "999 B"], [1000, "1.00 kB"], [999_600, "1.00 MB"]])("bytes %s", (n, want) => expect(text(bytes(n)).replace("\u00a0", " ")).toBe(want));

  test.each([
    [0, 0, "–"], [null, 5, "–"], [0, 10, "0%"], [10, 10, "100%"], [1, 3, "33.3%"], [1, 500, "0.20%"], [1, 1e6, "<0.01%"], [999_999, 1e6, ">99.99%"],
  ])("percent %s of %s", (part, whole, want) => expect(text(percent(part, whole))).toBe(want));

  test.each([
    [rate(0), "0 /s"], [rate(0.5), "0.5 /s"], [rate(0.05), "0.05 /s"], [rate(10), "10 /s"], [rate(500), "500 /s"], [rate(3000), "3,000 /s"], [rate(250_000), "250,000 /s"],
    [time(0.5), "0.5 ms"], [time(20), "20 ms"], [time(1500), "1.5 s"], [time(90_000), "1m 30s"], [count(10), "10"], [count(2_500_000), "2.5 M"],
  ])("label of an axis %o", (quantity, want) => expect(tick(quantity).replace("\u00a0", " ")).toBe(want));

  test.each([[0, "0 s"], [0.25, "250 ms"], [1.5, "1.5 s"], [60, "1m"], [200, "3m 20s"], [3600, "1h"], [90_000, "1d 1h"], [null, "–"]])("duration %s", (s, want) => expect(duration(s)).toBe(want));

  test.each([[undefined, undefined], ["0/x", undefined], ["100/s", 100], ["90/m", 1.5], ["36/h", 0.01], ["0.5/s", 0.5], ["20", 20]])("rate of %s", (s, want) => expect(parseRate(s)).toBe(want));

  test("changes", () => {
    expect(change({ field: "workers", from: 3, to: 10 })).toBe("workers 3 → 10");
    expect(change({ field: "delay", from: 0.1, to: 2 })).toBe("delay 100 ms → 2 s");
    expect(change({ field: "variables.ERROR_WEIGHT", from: "0", to: "2" })).toBe("error weight 0 → 2");
    expect(change({ field: "weights.root_page", from: null, to: 4 })).toBe("weight of root_page default → 4");
    expect(change({ field: "variables.MY_NAME", from: "a", to: null })).toBe("MY_NAME a → default");
  });
});
