/** The live connection: EventSource with a watch over it. The browser resends Last-Event-ID when it reconnects by itself;
 *  when it gives up (an HTTP error) we open a new one after the last event seen. */
import type { Storm, StreamEvent } from "../lib/types";

/** Pauses between our own attempts, milliseconds; the last one repeats. */
export const RETRY_MS = [1_000, 2_000, 4_000, 8_000] as const;

/** The server says something at least every 15 s. After twice that in silence the connection is taken for dead, milliseconds. */
export const SILENT_MS = 35_000;

export interface StreamHandlers {
  /** Where to go on. */
  after(): number;
  event(event: StreamEvent): void;
  hello(serverTime: string, lastEvent: number): void;
  /** A flood of alarms began, stands (with each connection), or is over (null). */
  storm(storm: Storm | null): void;
  /** The server cannot bridge the gap: fetch the list anew. */
  reset(): void;
  state(connected: boolean): void;
}

export interface Source {
  readyState: number;
  onopen: ((event: Event) => void) | null;
  onerror: ((event: Event) => void) | null;
  addEventListener(type: string, then: (event: MessageEvent<string>) => void): void;
  close(): void;
}

const CLOSED = 2;

export class Stream {
  private source: Source | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private stopped = false;

  constructor(
    private readonly handlers: StreamHandlers,
    private readonly make: (url: string) => Source = (url) => new EventSource(url) as unknown as Source,
  ) {}

  start(): void {
    this.stopped = false;
    this.open();
  }
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.watch);
    this.source?.close();
    this.source = null;
  }
  /** Throws the connection away and makes a new one, after the last event seen. */
  reopen(): void {
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.source?.close();
    this.open();
  }

  private open(): void {
    const source = this.make(`/api/stream?after=${this.handlers.after()}`);
    this.source = source;
    this.heard();
    const mine = (then: (event: MessageEvent<string>) => void) => (event: MessageEvent<string>) => {
      if (source !== this.source) return;
      this.heard();
      then(event);
    };
    source.onopen = () => source === this.source && this.up();
    source.onerror = () => source === this.source && this.down(source);
    source.addEventListener("hello", mine((event) => {
      const hello = parse<{ server_time: string; last_event: number; storm?: Storm | null }>(event.data);
      if (!hello) return;
      this.handlers.hello(hello.server_time, hello.last_event);
      this.handlers.storm(hello.storm ?? null);
    }));
    source.addEventListener("storm", mine((event) => {
      const told = parse<{ storm: Storm | null }>(event.data);
      if (told) this.handlers.storm(told.storm);
    }));
    source.addEventListener("alarm", mine((event) => {
      const alarm = parse<StreamEvent>(event.data);
      // An event that cannot be read may hide an alarm: the list is the truth.
      if (alarm) this.handlers.event(alarm);
      else this.handlers.reset();
    }));
    source.addEventListener("alive", mine(() => {}));
    source.addEventListener("reset", mine(() => this.handlers.reset()));
  }
  /** Winds the watch up again. A frozen server or a cut cable keeps a connection open that carries nothing. */
  private heard(): void {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => {
      this.handlers.state(false);
      this.reopen();
    }, SILENT_MS);
  }
  private up(): void {
    this.heard();
    this.attempt = 0;
    this.handlers.state(true);
  }
  private down(source: Source): void {
    // From here on the browser tries again, or our own timer does.
    clearTimeout(this.watch);
    this.handlers.state(false);
    if (this.stopped || source.readyState !== CLOSED) return;
    const wait = RETRY_MS[Math.min(this.attempt, RETRY_MS.length - 1)];
    this.attempt += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.reopen(), wait);
  }
}

function parse<T>(text: string): T | null {
  try {
    return JSON.parse(text) as T;
  } catch {
    return null;
  }
}
