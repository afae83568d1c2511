/**
 * JSON pointers in URI fragments, as `$ref` has them (RFC 6901).
 * @module
 */

/** Decodes a token of a JSON pointer in a URI fragment; invalid escapes stay. */
function unescaped(part: string): string {
  let text = part;
  try {
    text = decodeURIComponent(part);
  } catch { /* a bare % */ }
  return text.replaceAll("~1", "/").replaceAll("~0", "~");
}

/** The value that a JSON pointer such as `#/$defs/name` refers to; undefined where there is none (RFC 6901). */
export function pointed(root: unknown, ref: string): unknown {
  let at = root;
  for (const part of ref.split("/").slice(1)) {
    const name = unescaped(part);
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) {
      return undefined;
    }
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}
