/** Who is signed in, and the words (metrics, qualities ..) the server speaks. */
import { i18n } from "../i18n/i18n.svelte";
import { ApiError, get, onSignedOut, post } from "./api";
import type { Me, MetricInfo, Vocabulary } from "./types";

/** The server is asked this often who we are: that renews the browser's cookie, which ends 12 h after it was set. Milliseconds. */
const RENEW_MS = 15 * 60_000;

/** Is paged, and has no alarm desk. */
const isCarer = (me: Me | null | undefined): boolean => me?.role === "doctor" || me?.role === "nurse" || me?.role === "responder";

class Session {
  /** undefined: not asked yet; null: signed out. */
  me = $state.raw<Me | null | undefined>(undefined);
  error = $state.raw<ApiError | null>(null);
  /** Whose session the server ended while this page was open; null once they know, or signed in again. */
  ended = $state.raw<Me | null>(null);
  private leaving = false;
  private renewal: ReturnType<typeof setInterval> | undefined;
  metrics = $state.raw<ReadonlyMap<string, MetricInfo>>(new Map());

  constructor() {
    onSignedOut(() => {
      if (this.me && !this.leaving) this.ended = this.me;
      this.leave();
    });
  }

  /** Asks the server who we are. A failed network is an error, not a sign-out. */
  async start(): Promise<void> {
    this.error = null;
    try {
      this.enter(await get<Me>("/api/me"));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.leave();
      else if (error instanceof ApiError) this.error = error;
      else throw error;
    }
  }
  async login(login: string, password: string): Promise<Me> {
    const me = await post<Me>("/api/login", { login, password });
    this.enter(me);
    return me;
  }
  async logout(): Promise<void> {
    this.leaving = true;
    try {
      await post("/api/logout");
    } finally {
      this.leave();
    }
  }
  /** Somebody has seen that the session is over. */
  dismiss(): void {
    this.ended = null;
  }
  private leave(): void {
    clearInterval(this.renewal);
    this.me = null;
  }
  private enter(me: Me): void {
    i18n.prefer(me.language);
    this.me = me;
    this.ended = null;
    this.leaving = false;
    clearInterval(this.renewal);
    // A failure is no news here: whatever the page does next tells.
    this.renewal = setInterval(() => void get<Me>("/api/me").catch(() => {}), RENEW_MS);
    void this.learnWords();
  }
  /** The tables behind labels and units; asked again until they are there. */
  private async learnWords(attempt = 0): Promise<void> {
    if (this.metrics.size > 0 || !this.me) return;
    try {
      const words = await get<Vocabulary>("/api/metrics");
      this.metrics = new Map(words.metrics.map((row) => [row.slug, row]));
    } catch {
      if (attempt < 10) setTimeout(() => void this.learnWords(attempt + 1), 2_000 * (attempt + 1));
    }
  }
  /** What the role may do; the server decides, this only leaves out buttons that it would refuse. */
  get mayClaim(): boolean {
    return this.me?.role === "dispatcher" || this.me?.role === "supervisor";
  }
  /** Answers for the service: sees its figures. */
  get mayLead(): boolean {
    return this.me?.role === "administrator" || this.me?.role === "supervisor";
  }
  get mayResolve(): boolean {
    return this.me !== null && this.me !== undefined && this.me.role !== "administrator" && this.me.role !== "responder";
  }
  /** Sees values and the elder's page. Who only goes there does not. */
  get seesClinical(): boolean {
    return this.me !== null && this.me !== undefined && this.me.role !== "responder";
  }
  get mayEditRules(): boolean {
    return this.me?.role === "doctor" || this.me?.role === "administrator";
  }
  /** Dispatchers see a day, care teams see months. */
  get seesLongTrends(): boolean {
    return this.me?.role !== "dispatcher" && this.me?.role !== "supervisor";
  }
  get isCarer(): boolean {
    return isCarer(this.me);
  }
  /** An alarm desk stood open when the session ended: nobody watches there now. */
  get deskStopped(): boolean {
    return this.ended !== null && !isCarer(this.ended);
  }
  /** The page a person lands on. */
  get home(): string {
    return this.isCarer ? "/phone" : "/";
  }
}

export const session = new Session();
