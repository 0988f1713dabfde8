/** How positions of a slider and values belong together. */
export interface Scale {
  min: number;
  max: number;
  step: number;
  toValue: (position: number) => number;
  toPosition: (value: number) => number;
}

/** The next round number: 1, 2 or 5 times a power of ten. */
export function roundUp(x: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(x, 1e-9)));
  return [1, 2, 5, 10].map((m) => m * power).find((m) => m >= x * (1 - 1e-9)) ?? 10 * power;
}

/** A straight scale from min, with room above the value. */
export function linear(value: number, min: number, least: number, step: number): Scale {
  const max = Math.max(least, roundUp(value * 1.5));
  return { min, max, step: Math.max(step, 10 ** Math.floor(Math.log10(max / 200))), toValue: (p) => p, toPosition: (v) => Math.min(v, max) };
}

const positions = 240;

/** A scale by factors from min to max. With zero, the first position is 0. */
export function logarithmic(min: number, max: number, zero: boolean, whole = false): Scale {
  const first = zero ? 1 : 0;
  const factor = Math.log(max / min) / (positions - first);
  return {
    min: 0,
    max: positions,
    step: 1,
    toValue: (p) => {
      if (zero && p <= 0) return 0;
      const value = min * Math.exp((p - first) * factor);
      return whole ? Math.round(value) : Number(value.toPrecision(2));
    },
    toPosition: (v) => {
      if (v < min) return 0;
      return Math.max(first, Math.min(positions, Math.round(Math.log(v / min) / factor) + first));
    },
  };
}
