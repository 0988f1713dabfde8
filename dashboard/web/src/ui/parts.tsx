import type { ComponentChildren } from "preact";
import { reasonOf, stateName, unknown, type Quantity } from "../format";
import type { State } from "../types";

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

/** The head of a column: its name, or more; a hidden one is for screen readers alone. */
export type Column = string | { name: string; num?: boolean; hidden?: boolean; title?: string; sort?: Sort };
type Sort = { by: "ascending" | "descending" | "none"; toggle: () => void };

/** The column of numbers of a name. */
export const num = (name: string, title?: string): Column => ({ name, num: true, ...(title ? { title } : {}) });

export function Table({ columns, class: name, children }: { columns: Column[]; class?: string; children: ComponentChildren }) {
  return (
    <table class={name}>
      <thead>
        <tr>
          {columns.map((c) => {
            const { name, num, hidden, title, sort } = typeof c === "string" ? { name: c } : c;
            return (
              <th key={name} scope="col" class={num ? "num" : ""} title={sort ? undefined : title} aria-sort={sort?.by}>
                {sort ? (
                  <button type="button" title={title} onClick={sort.toggle}>
                    {name}
                  </button>
                ) : (
                  <span class={hidden ? "hidden" : ""}>{name}</span>
                )}
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  );
}

/** A table that, if it is wider than the screen, scrolls in its place, also by keyboard. */
export function ScrollTable({ label, ...table }: { label: string } & Parameters<typeof Table>[0]) {
  return (
    <div class="scroll" role="region" aria-label={`${label}, table`} tabIndex={0}>
      <Table {...table} />
    </div>
  );
}

/** A status code; an expected one is good even where it says of an error. */
export function Code({ code, expected = false, children }: { code: string | number; expected?: boolean; children?: ComponentChildren }) {
  const why = expected && Number(code) >= 400;
  return (
    <span class={`code c${String(code)[0]} ${why ? "expected" : ""}`} title={`${code} ${reasonOf(Number(code))}${why ? ", as the scenario expects" : ""}`}>
      {code}
      {children}
    </span>
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
