/** Who is signed in, and the words (metrics, qualities ..) the server speaks. */
import { i18n } from "../i18n/i18n.svelte";
import { ApiError, get, onSignedOut, post } from "./api";
import type { Me, MetricInfo, Vocabulary } from "./types";

class Session {
  /** undefined: not asked yet; null: signed out. */
  me = $state.raw<Me | null | undefined>(undefined);
  error = $state.raw<ApiError | null>(null);
  metrics = $state.raw<ReadonlyMap<string, MetricInfo>>(new Map());

  constructor() {
    onSignedOut(() => (this.me = null));
  }

  /** Asks the server who we are. A failed network is an error, not a sign-out. */
  async start(): Promise<void> {
    this.error = null;
    try {
      this.enter(await get<Me>("/api/me"));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.me = null;
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
    try {
      await post("/api/logout");
    } finally {
      this.me = null;
    }
  }
  private enter(me: Me): void {
    i18n.prefer(me.language);
    this.me = me;
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
  get mayEditRules(): boolean {
    return this.me?.role === "doctor" || this.me?.role === "administrator";
  }
  /** Dispatchers see a day, care teams see months. */
  get seesLongTrends(): boolean {
    return this.me?.role !== "dispatcher" && this.me?.role !== "supervisor";
  }
  /** Is paged, and has no alarm desk. */
  get isCarer(): boolean {
    return this.me?.role === "doctor" || this.me?.role === "nurse" || this.me?.role === "responder";
  }
  /** The page a person lands on. */
  get home(): string {
    return this.isCarer ? "/phone" : "/";
  }
}

export const session = new Session();
