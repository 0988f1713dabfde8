export type Patch = Record<string, unknown>;

export const isObject = (x: unknown): x is Patch => typeof x === "object" && x !== null && !Array.isArray(x);

/** The later value of each key wins; objects are merged. */
export function merge(a: Patch, b: Patch): Patch {
  const all = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const before = all[key];
    all[key] = isObject(before) && isObject(value) ? { ...before, ...value } : value;
  }
  return all;
}
