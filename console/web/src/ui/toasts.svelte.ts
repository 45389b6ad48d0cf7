/** Short messages about what just happened. Errors stay longer. */
import { i18n } from "../i18n/i18n.svelte";
import { ApiError } from "../lib/api";

export interface Toast { id: number; text: string; bad: boolean }

class Toasts {
  list = $state.raw<Toast[]>([]);
  private next = 1;
  say(text: string, bad = false): void {
    const toast = { id: this.next++, text, bad };
    this.list = [...this.list.slice(-3), toast];
    setTimeout(() => this.drop(toast.id), bad ? 9_000 : 4_000);
  }
  drop(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
  /** What the server said; "who has it" is worth more than "conflict". Anything else is our bug and goes on. */
  error(error: unknown): void {
    if (!(error instanceof ApiError)) throw error;
    this.say(error.by ? i18n.t.claimed_by(error.by) : i18n.pick(error), true);
  }
}

export const toasts = new Toasts();
