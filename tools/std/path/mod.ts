/**
 * Offline stand-in for the part of `jsr:@std/path` that mquant uses: same
 * names, same signatures (README, "Dependencies").
 * @module
 */
import { fileURLToPath, pathToFileURL } from "node:url";
export {
  basename,
  dirname,
  extname,
  isAbsolute,
  join,
  relative,
  resolve,
} from "node:path";

/** Path of a `file:` URL. */
export function fromFileUrl(url: string | URL): string {
  return fileURLToPath(url);
}

/** `file:` URL of an absolute path. */
export function toFileUrl(path: string): URL {
  return pathToFileURL(path);
}

/** The regular expression of a glob: `*`, `?`, `**` between slashes, `[a-z]`, `{a,b}`. */
export function globToRegExp(glob: string): RegExp {
  let out = "", braces = 0;
  for (let i = 0; i < glob.length; i++) {
    const char = glob[i], rest = glob.slice(i);
    const [set, not, inner] = /^\[([!^]?)([^\]/]+)\]/.exec(rest) ?? [];
    if (rest.startsWith("**/")) out += "(?:[^/]*/)*", i += 2;
    else if (rest.startsWith("**")) out += ".*", i += 1;
    else if (char === "*") out += "[^/]*";
    else if (char === "?") out += "[^/]";
    else if (set !== undefined) {
      out += `[${not && "^"}${inner.replaceAll("\\", "\\\\")}]`;
      i += set.length - 1;
    } else if (char === "{") out += "(?:", braces++;
    else if (char === "}" && braces > 0) out += ")", braces--;
    else if (char === "," && braces > 0) out += "|";
    else out += RegExp.escape(char);
  }
  return new RegExp(`^${out}$`);
}
