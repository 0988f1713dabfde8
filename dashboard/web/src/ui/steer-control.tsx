import { useId, useRef } from "preact/hooks";
import { plain } from "../format";
import type { Scale } from "../scale";
import type { Steering } from "../steer";

interface Props {
  steering: Steering;
  control: string; // its name
  field: string; // of the API, whose fault is shown
  label: string;
  unit?: string;
  value: number | undefined; // in force; undefined: not known
  scale: (value: number) => Scale;
  patch: (value: number) => Record<string, unknown>;
  text?: (value: number) => string; // for screen readers
  disabled?: boolean;
  compact?: boolean; // without a visible label
}

/** A slider and a number field for one setting of a running job. */
export function SteerControl(props: Props) {
  const { steering, control, label, unit = "", value, disabled = false } = props;
  const id = useId();
  const draft = steering.drafts.value[control];
  const error = steering.errors.value[props.field];
  const number = draft !== undefined && Number.isFinite(Number(draft)) && draft !== "" ? Number(draft) : (value ?? 0);
  // The range does not move under a hand that moves the slider.
  const held = useRef<Scale | null>(null);
  const scale = held.current ?? props.scale(number);
  const hold = () => {
    held.current ??= scale;
    steering.hold(control);
  };
  const release = () => {
    held.current = null;
    steering.release(control);
  };
  const commit = (text: string) => {
    const n = Number(text.replace(",", "."));
    if (text.trim() === "" || !Number.isFinite(n)) {
      steering.errors.value = { ...steering.errors.peek(), [props.field]: "must be a number" };
      return;
    }
    if (n !== value || draft !== undefined) steering.set(control, text, props.patch(n));
  };
  return (
    <div class={`control ${props.compact ? "compact" : ""} ${error ? "wrong" : ""}`}>
      {!props.compact && <label for={`${id}-n`}>{label}</label>}
      <input
        type="range"
        aria-label={`${label}, slider`}
        aria-valuetext={props.text ? props.text(number) : `${plain(number)} ${unit}`}
        disabled={disabled || value === undefined}
        min={scale.min}
        max={scale.max}
        step={scale.step}
        value={scale.toPosition(number)}
        style={{ "--at": `${(100 * (scale.toPosition(number) - scale.min)) / (scale.max - scale.min)}%` }}
        onPointerDown={hold}
        onPointerUp={release}
        onPointerCancel={release}
        onInput={(e) => {
          const n = scale.toValue(Number(e.currentTarget.value));
          steering.set(control, n, props.patch(n));
        }}
      />
      <span class="number">
        <input
          id={`${id}-n`}
          type="text"
          inputMode="decimal"
          autocomplete="off"
          aria-label={props.compact ? label : undefined}
          aria-invalid={error ? true : undefined}
          aria-describedby={error ? `${id}-e` : undefined}
          disabled={disabled || value === undefined}
          value={draft ?? (value === undefined ? "–" : plain(value))}
          onFocus={(e) => {
            steering.hold(control);
            e.currentTarget.select();
          }}
          onInput={(e) => steering.draft(control, e.currentTarget.value)}
          onChange={(e) => commit(e.currentTarget.value)}
          onBlur={() => steering.release(control)}
          onKeyDown={(e) => {
            const by = e.key === "ArrowUp" ? 1 : e.key === "ArrowDown" ? -1 : 0;
            if (e.key === "Enter") commit(e.currentTarget.value);
            if (e.key === "Escape") {
              steering.drop(control);
              e.currentTarget.blur();
            }
            if (by === 0) return;
            e.preventDefault();
            const at = props.scale(number);
            const next = at.toValue(at.toPosition(number) + by * at.step);
            commit(plain(Math.max(next, 0)));
          }}
        />
        {unit !== "" && <span class="unit">{unit}</span>}
      </span>
      {error && (
        <p class="error" id={`${id}-e`} role="alert">
          {error}
        </p>
      )}
    </div>
  );
}
