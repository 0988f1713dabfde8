import { signal } from "@preact/signals";

interface Notice {
  id: number;
  text: string;
  kind: "info" | "error";
}

const notices = signal<Notice[]>([]);
let last = 0;

/** Shows a message for a while. */
export function notify(text: string, kind: Notice["kind"]) {
  const id = ++last;
  notices.value = [...notices.peek().slice(-3), { id, text, kind }];
  setTimeout(() => dismiss(id), kind === "error" ? 12_000 : 6000);
}

const dismiss = (id: number) => (notices.value = notices.peek().filter((n) => n.id !== id));

/** Does something that the API may refuse, and says so if it does. */
export async function attempt(what: () => Promise<unknown>) {
  try {
    await what();
  } catch (e) {
    notify(e instanceof Error ? e.message : String(e), "error");
  }
}

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map((n) => (
        <div key={n.id} class={`notice ${n.kind}`}>
          <span>{n.text}</span>
          <button class="icon" aria-label="Dismiss" onClick={() => dismiss(n.id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
