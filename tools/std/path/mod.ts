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
