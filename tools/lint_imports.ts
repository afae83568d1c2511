/**
 * Import analysis for lints: the imports in a module's text, and cycles.
 * @module
 */

/** Specifiers that begin with a dot, written as statements: static imports and exports, type-only ones included. */
const STATEMENT = /^(?:import|export)\b(?:[^"';]*?\bfrom\s*)?\s*"(\.[^"]+)"/gm;

/** The same in an expression or a type: `import("…")`, a worker's URL, `import.meta.resolve("…")`. */
const EXPRESSION =
  /^(?!\s*(?:\/\/|\*)).*?(?:\bimport\(\s*|\bnew URL\(\s*|\bimport\.meta\.resolve\(\s*)"(\.[^"]+\.ts)"/gm;

/** Relative specifiers of the modules that a module imports, statically, dynamically or as a worker. */
export function importsOf(text: string): string[] {
  const found = [STATEMENT, EXPRESSION].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((m) => m[1])
  );
  return [...new Set(found)];
}

/** Text of a module by its absolute path; undefined where there is none. */
export type Read = (path: string) => string | undefined;

/** Paths of the modules that the one at `path` imports. */
function targets(path: string, read: Read): string[] {
  const text = read(path);
  if (text === undefined) return [];
  return importsOf(text).map((s) => new URL(s, `file://${path}`).pathname);
}

/**
 * The shortest cycle of imports through the module at `path`, which stands at
 * its beginning and its end; undefined where there is none.
 */
export function cycleThrough(path: string, read: Read): string[] | undefined {
  const from = new Map<string, string>(), queue = [path];
  for (let at; (at = queue.shift()) !== undefined;) {
    for (const to of targets(at, read)) {
      if (to === path) {
        const back = [path];
        for (let p = at; p !== path; p = from.get(p)!) back.unshift(p);
        return [path, ...back];
      }
      if (from.has(to)) continue;
      from.set(to, at);
      queue.push(to);
    }
  }
  return undefined;
}
