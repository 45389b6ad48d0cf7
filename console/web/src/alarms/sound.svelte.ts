/** Alarm sound after the pattern of IEC 60601-1-8: P1 ten pulses (3+2, pause, 3+2), P2 three. Chromium keeps a page silent until a
 *  click, hence `unlock`. Vigil claims no conformity with that standard. */
import type { Priority } from "../lib/types";

/** C4, with six harmonics: inside 150-1000 Hz, and four or more harmonics in 300-4000 Hz. */
const PITCH_HZ = 261.63;
const HARMONICS = [0, 1, 0.9, 0.8, 0.8, 0.7, 0.6] as const;
/** Repeat of a burst while an unclaimed alarm stands, milliseconds (limits: 15 s and 30 s). */
const REPEAT_MS = { P1: 10_000, P2: 25_000 } as const;
/** Mute takes the sound away for this long, never the light or the row, and never that of a P1 which was not there yet. */
export const MUTE_MS = 60_000;

/** Starts of the pulses of one burst, seconds, and their length. */
export function burst(priority: Priority): { starts: number[]; length_s: number } {
  if (priority === "P2") return { starts: [0, 0.4, 0.8], length_s: 0.2 };
  if (priority !== "P1") return { starts: [], length_s: 0 };
  const five = [0, 0.24, 0.48, 0.96, 1.2];
  return { starts: [...five, ...five.map((start) => start + 2)], length_s: 0.14 };
}

class Sound {
  private context: AudioContext | null = null;
  private wave: PeriodicWave | null = null;
  private last = { P1: 0, P2: 0 };
  /** Unclaimed P1s of the last beat, and those that stood when somebody muted. */
  private standing: readonly string[] = [];
  private mutedOver: ReadonlySet<string> = new Set();
  running = $state(false);
  mutedUntil = $state(0);
  /** Bursts played: lets a test hear. */
  bursts = $state(0);

  /** From a click or key press only: starts the audio and plays the test tone. */
  async unlock(): Promise<boolean> {
    this.context ??= this.create();
    try {
      await this.context.resume();
    } catch {
      // No output device: the red bar stays.
    }
    this.running = this.context.state === "running";
    if (this.running) this.play([0, 0.3], 0.18);
    return this.running;
  }
  private create(): AudioContext {
    const context = new AudioContext();
    context.onstatechange = () => (this.running = context.state === "running");
    this.wave = context.createPeriodicWave(new Float32Array(HARMONICS.length), new Float32Array(HARMONICS));
    return context;
  }
  /** Pressed again it does not begin anew: silence is never longer than a minute at a time. */
  mute(now = Date.now()): void {
    if (now < this.mutedUntil) return;
    this.mutedUntil = now + MUTE_MS;
    this.mutedOver = new Set(this.standing);
  }
  unmute(): void {
    this.mutedUntil = 0;
  }
  /** Called about once a second with what is unclaimed: the ids of P1s, the number of P2s. */
  beat(p1: readonly string[], p2: number, now: number): void {
    this.standing = p1;
    if (now < this.mutedUntil && p1.some((id) => !this.mutedOver.has(id))) {
      this.mutedUntil = 0;
      this.last.P1 = 0;
    }
    if (p1.length === 0) this.last.P1 = 0;
    if (p2 === 0) this.last.P2 = 0;
    const priority = p1.length > 0 ? "P1" : p2 > 0 ? "P2" : null;
    if (!priority || !this.running || now < this.mutedUntil || now - this.last[priority] < REPEAT_MS[priority]) return;
    this.last[priority] = now;
    this.call(priority);
  }
  /** One burst, muted or not. */
  call(priority: Priority): void {
    const { starts, length_s } = burst(priority);
    this.play(starts, length_s);
    this.bursts += 1;
  }
  private play(starts: number[], length: number): void {
    const { context, wave } = this;
    if (!context || !wave) return;
    for (const start of starts) {
      const at = context.currentTime + 0.05 + start;
      const tone = new OscillatorNode(context, { type: "custom", periodicWave: wave, frequency: PITCH_HZ });
      const gain = new GainNode(context, { gain: 0 });
      // Soft edges: a click is no alarm sound.
      gain.gain.setValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(0.35, at + 0.02);
      gain.gain.setValueAtTime(0.35, at + length - 0.03);
      gain.gain.linearRampToValueAtTime(0, at + length);
      tone.connect(gain).connect(context.destination);
      tone.start(at);
      tone.stop(at + length + 0.01);
    }
  }
}

export const sound = new Sound();
