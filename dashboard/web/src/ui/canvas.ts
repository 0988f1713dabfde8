import { signal } from "@preact/signals";

const sizes = new WeakMap<Element, { width: number; height: number }>();

/** Grows when a canvas has another size. */
export const resized = signal(0);

// Asking an element for its size each time would cost a layout each time.
const observer = new ResizeObserver((entries) => {
  for (const e of entries) sizes.set(e.target, { width: e.contentRect.width, height: e.contentRect.height });
  resized.value++;
});

/** Fits a canvas to its place and the screen's pixels; null while it has none. */
export function prepare(canvas: HTMLCanvasElement): { ctx: CanvasRenderingContext2D; width: number; height: number } | null {
  let size = sizes.get(canvas);
  if (!size) {
    size = { width: canvas.clientWidth, height: canvas.clientHeight };
    sizes.set(canvas, size);
    observer.observe(canvas);
  }
  const ctx = canvas.getContext("2d");
  if (!ctx || size.width === 0 || size.height === 0) return null;
  const ratio = window.devicePixelRatio || 1;
  const w = Math.round(size.width * ratio);
  const h = Math.round(size.height * ratio);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, size.width, size.height);
  return { ctx, ...size };
}
