/** One GET with its three states: loading, error, data. Asked again on demand or on a beat. */
import { ApiError, get } from "./api";

export class Fetched<T> {
  data = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  constructor(private readonly path: string) {}
  load = async (): Promise<void> => {
    try {
      this.data = await get<T>(this.path);
      this.error = null;
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      this.error = failure;
    }
  };
}
