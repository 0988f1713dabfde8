import { batch, signal } from "@preact/signals";
import * as api from "./api";
import { ApiError } from "./api";
import { isObject, merge, type Patch } from "./merge";
import { Sender } from "./throttle";
import type { Settings } from "./types";

/** How long a value that was set here stays shown, while the stream has not told of it yet. */
const settle = 900;

/** Steers one job: what controls set is sent throttled, and shown until the job has it. */
export class Steering {
  /** What is set here and not yet settled, by control. */
  readonly drafts = signal<Readonly<Record<string, string | number>>>({});
  /** What the API has found wrong, by field. */
  readonly errors = signal<Readonly<Record<string, string>>>({});
  private readonly sender: Sender<Patch>;
  private held = new Set<string>();
  private timer = 0;

  constructor(readonly job: string) {
    this.sender = new Sender<Patch>((patch) => this.send(patch), merge);
  }

  /** Shows a value without sending it: somebody types. */
  draft(control: string, value: string | number) {
    this.drafts.value = { ...this.drafts.peek(), [control]: value };
  }

  set(control: string, value: string | number, patch: Patch) {
    this.draft(control, value);
    this.sender.push(patch);
  }

  /** Keeps the draft of a control that is being moved. */
  hold(control: string) {
    this.held.add(control);
  }

  release(control: string) {
    this.held.delete(control);
    this.settleSoon();
  }

  drop(control: string) {
    const { [control]: _, ...rest } = this.drafts.peek();
    this.drafts.value = rest;
  }

  private async send(patch: Patch) {
    const fields = Object.keys(patch).flatMap((k) => (isObject(patch[k]) ? Object.keys(patch[k] as Patch).map((n) => `${k}.${n}`) : [k]));
    let wrong: Record<string, string> = {};
    try {
      await api.update({ job: this.job, ...patch } as Settings);
    } catch (e) {
      wrong = e instanceof ApiError ? e.fields : {};
      if (Object.keys(wrong).length === 0) wrong = { [fields[0] ?? ""]: e instanceof Error ? e.message : String(e) };
    }
    const rest = { ...this.errors.peek() };
    for (const f of fields) delete rest[f];
    this.errors.value = { ...rest, ...wrong };
    this.settleSoon();
  }

  private settleSoon() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      if (!this.sender.idle) return this.settleSoon();
      const left = Object.entries(this.drafts.peek()).filter(([control]) => this.held.has(control));
      batch(() => (this.drafts.value = Object.fromEntries(left)));
    }, settle);
  }
}
