/**
 * Sends patches to one place: one at a time, at most one each so many milliseconds,
 * and what comes meanwhile is merged, so that the last value of each key wins.
 */
export class Sender<T extends object> {
  private waiting: T | null = null;
  private busy = false;
  private ready = 0; // when the next may be sent

  constructor(
    private readonly send: (patch: T) => Promise<void>,
    private readonly merge: (a: T, b: T) => T,
    private readonly every = 120,
  ) {}

  /** Whether nothing waits and nothing is under way. */
  get idle() {
    return !this.busy && this.waiting === null;
  }

  push(patch: T) {
    this.waiting = this.waiting === null ? patch : this.merge(this.waiting, patch);
    if (!this.busy) void this.run();
  }

  private async run() {
    this.busy = true;
    while (this.waiting !== null) {
      const wait = this.ready - Date.now();
      if (wait > 0) await new Promise((done) => setTimeout(done, wait));
      const patch = this.waiting;
      this.waiting = null;
      this.ready = Date.now() + this.every;
      await this.send(patch); // which does not fail
    }
    this.busy = false;
  }
}
