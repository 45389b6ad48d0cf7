/** `/elders/7` against `/elders/:id` gives `"7"`; no match gives null. */
export function match(path: string, pattern: string): string | null {
  const [is, want] = [path.split("/"), pattern.split("/")];
  if (is.length !== want.length) return null;
  let found = "";
  for (let i = 0; i < want.length; i++) {
    if (want[i]?.startsWith(":")) found = decode(is[i] ?? "");
    else if (want[i] !== is[i]) return null;
  }
  return found || null;
}

/** A half percent code in a hand-typed address is no reason to fall over. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
