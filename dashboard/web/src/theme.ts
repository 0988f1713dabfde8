import { effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";
const key = "loadgen-theme";

function stored(): Theme {
  try {
    const theme = localStorage.getItem(key);
    return theme === "light" || theme === "dark" ? theme : "auto";
  } catch {
    return "auto";
  }
}

/** The choice of the reader; auto follows the system. */
export const theme = signal<Theme>(stored());

/** Grows when colours have changed, for what is drawn rather than styled. */
export const colours = signal(0);

effect(() => {
  const chosen = theme.value;
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  try {
    if (chosen === "auto") localStorage.removeItem(key);
    else localStorage.setItem(key, chosen);
  } catch {
    // storage is forbidden: the choice holds for this page
  }
  colours.value = colours.peek() + 1;
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => colours.value++);

const probe = document.createElement("span");
probe.hidden = true;
const known = new Map<string, string>();
effect(() => {
  void colours.value;
  known.clear();
});

/** The colour that a name of the style sheet stands for now, as a canvas takes it. */
export function colour(name: string): string {
  let value = known.get(name);
  if (value === undefined) {
    if (!probe.isConnected) document.body.append(probe);
    probe.style.color = `var(--${name})`;
    known.set(name, (value = getComputedStyle(probe).color));
  }
  return value;
}
