/** One ticking clock for all running timers, set to the server's time. */

/** Beyond this difference the screen says so, milliseconds. */
export const SKEW_MAX_MS = 5_000;

class ServerClock {
  /** Server minus browser, milliseconds. */
  offset = $state(0);
  /** Server time, refreshed once a second. */
  now = $state(Date.now());
  constructor() {
    setInterval(() => this.tick(), 1_000);
  }
  tick(): void {
    this.now = Date.now() + this.offset;
  }
  /** Learns the server's time from the stream's first message. */
  set(serverTime: string): void {
    const at = Date.parse(serverTime);
    if (Number.isNaN(at)) return;
    this.offset = at - Date.now();
    this.tick();
  }
  get isSkewed(): boolean {
    return Math.abs(this.offset) > SKEW_MAX_MS;
  }
}

export const serverClock = new ServerClock();
