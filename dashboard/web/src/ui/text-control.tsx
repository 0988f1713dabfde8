import { useId } from "preact/hooks";
import type { Steering } from "../steer";

interface Props {
  steering: Steering;
  control: string;
  field: string;
  label: string;
  mono?: boolean;
  value: string | number | boolean | undefined;
  patch: (value: string) => Record<string, unknown>;
}

/** A text field for one setting of a running job, which takes effect when it is left. */
export function TextControl({ steering, control, field, label, value, patch, mono }: Props) {
  const id = useId();
  const error = steering.errors.value[field];
  return (
    <div class={`control text ${mono ? "stacked" : ""} ${error ? "wrong" : ""}`}>
      <label for={id} class={mono ? "mono" : ""}>
        {label}
      </label>
      <input
        id={id}
        type="text"
        autocomplete="off"
        spellcheck={false}
        disabled={value === undefined}
        aria-invalid={error ? true : undefined}
        aria-describedby={error ? `${id}-e` : undefined}
        value={steering.drafts.value[control] ?? (value === undefined ? "–" : String(value))}
        onFocus={() => steering.hold(control)}
        onInput={(e) => steering.draft(control, e.currentTarget.value)}
        onChange={(e) => steering.set(control, e.currentTarget.value, patch(e.currentTarget.value))}
        onBlur={() => steering.release(control)}
        onKeyDown={(e) => {
          if (e.key === "Enter") e.currentTarget.blur();
          if (e.key === "Escape") {
            steering.drop(control);
            e.currentTarget.blur();
          }
        }}
      />
      {error && (
        <p class="error" id={`${id}-e`} role="alert">
          {error}
        </p>
      )}
    </div>
  );
}
