/** Path routes over the history API. The server answers every such path with index.html. */

class Router {
  path = $state(location.pathname);
  constructor() {
    addEventListener("popstate", () => (this.path = location.pathname));
  }
  /** Goes to a path of this app. */
  go(path: string, replace = false): void {
    if (path === location.pathname) return;
    history[replace ? "replaceState" : "pushState"](null, "", path);
    this.path = path;
    scrollTo(0, 0);
  }
  /** One listener for all links of the app: plain left clicks stay in the page. */
  onClick = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest("a");
    const href = link?.getAttribute("href");
    if (!href?.startsWith("/") || href.startsWith("/api/") || link?.target) return;
    event.preventDefault();
    this.go(href);
  };
}

export const router = new Router();
