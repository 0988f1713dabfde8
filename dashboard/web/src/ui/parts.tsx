import type { ComponentChildren } from "preact";
import { text, unknown, type Quantity } from "../format";
import type { State } from "../types";
import { stateName } from "../format";

/** A number with its unit. */
export function Value({ of, class: name = "" }: { of: Quantity; class?: string }) {
  if (of.value === unknown) {
    return (
      <span class={`value none ${name}`} title="not known yet">
        {unknown}
      </span>
    );
  }
  return (
    <span class={`value ${name}`}>
      {of.value}
      {of.unit !== "" && <span class="unit">{(of.unit === "%" ? "" : "\u00a0") + of.unit}</span>}
    </span>
  );
}

export function StateBadge({ state, reason }: { state: State; reason?: string | undefined }) {
  return (
    <span class={`state ${state}`} title={reason || undefined}>
      {stateName[state]}
    </span>
  );
}

/** Whether the generator, and not the target, was the limit. */
export function Validity({ valid, invalid }: { valid: boolean | undefined; invalid?: string[] | undefined }) {
  if (valid === undefined) return <span class="value none">{unknown}</span>;
  if (valid) return <span class="valid" title="The target, not the generator, sets these numbers">valid</span>;
  return (
    <span class="invalid" title={(invalid ?? []).join("\n")}>
      invalid
    </span>
  );
}

export function Tile({ label, of, tone = "", note, title }: { label: string; of: Quantity; tone?: string; note?: ComponentChildren; title?: string }) {
  return (
    <div class={`tile ${tone}`} title={title}>
      <dt>{label}</dt>
      <dd>
        <Value of={of} />
        {note !== undefined && <span class="note">{note}</span>}
      </dd>
    </div>
  );
}

export function Segmented<T extends string>(props: { label: string; value: T; options: readonly (readonly [T, string])[]; onChange: (value: T) => void }) {
  return (
    <div class="segmented" role="group" aria-label={props.label}>
      {props.options.map(([value, shown]) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.onChange(value)}>
          {shown}
        </button>
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="title">{title}</p>
      {children}
    </div>
  );
}

export function Card({ title, note, children }: { title: string; note?: string; children: ComponentChildren }) {
  return (
    <section class="card" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span class="muted">{note}</span>
      </header>
      {children}
    </section>
  );
}

/** A table that is wider than the screen scrolls in its place, also by keyboard. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="scroll" role="region" aria-label={`${label}, table`} tabIndex={0}>
      {children}
    </div>
  );
}

/** A part of a whole as a bar behind its number. */
export function Share({ of }: { of: number }) {
  return (
    <span class="share">
      <span class="bar" style={{ transform: `scaleX(${Math.max(0, Math.min(1, of))})` }} />
    </span>
  );
}

export const label = (q: Quantity) => text(q);
