/**
 * Byte sources: a file, or bytes in memory. Readers use only `ByteSource`, so
 * tests and servers can supply bytes from anywhere.
 * @module
 */
import { inDeno } from "../platform/platform.ts";
import { FormatError } from "./error.ts";

/** Random access to a fixed number of bytes. */
export interface ByteSource extends Disposable {
  /** Its name in messages: the base name of a file, never its path. */
  readonly name: string;
  /** Number of bytes. */
  readonly size: number;
  /**
   * Reads bytes from `offset` on into `buffer`, which may be in shared memory.
   * @throws {FormatError} "short_read" if there are too few
   */
  read(offset: number, buffer: Uint8Array): void;
}

function checkRange(source: ByteSource, offset: number, length: number) {
  if (offset >= 0 && offset + length <= source.size) return;
  throw new FormatError(
    "short_read",
    source.name,
    `bytes ${offset} to ${
      offset + length
    } were requested, but it has ${source.size}`,
  );
}

/** A source over `bytes`, without a copy. */
export function bytesSource(bytes: Uint8Array, name = "bytes"): ByteSource {
  return {
    name,
    size: bytes.length,
    read(offset, buffer) {
      checkRange(this, offset, buffer.length);
      buffer.set(bytes.subarray(offset, offset + buffer.length));
    },
    [Symbol.dispose]() {},
  };
}

/** A regular file, open until disposed. Needs `--allow-read` of `path`. */
export function fileSource(path: string | URL): ByteSource {
  const name = lastPart(path);
  if (!inDeno) {
    throw new FormatError(
      "not_a_file",
      name,
      "a browser has no file paths; fetch the file and open its bytes",
    );
  }
  const file = openFile(path, name);
  const stat = file.statSync();
  if (!stat.isFile) {
    file.close();
    throw new FormatError("not_a_file", name, "it is not a regular file");
  }
  let open = true;
  return {
    name,
    size: stat.size,
    read(offset, buffer) {
      checkRange(this, offset, buffer.length);
      file.seekSync(offset, Deno.SeekMode.Start);
      for (let at = 0; at < buffer.length;) {
        const n = file.readSync(buffer.subarray(at));
        if (n === null) {
          throw new FormatError(
            "short_read",
            name,
            `the file ends at byte ${
              offset + at
            } but had ${stat.size} bytes when it was opened; do not change it while it is open`,
          );
        }
        at += n;
      }
    },
    [Symbol.dispose]() {
      if (open) file.close();
      open = false;
    },
  };
}

/**
 * Base name of a path or `file:` URL. Not from @std/path, because code that
 * runs models imports nothing of Deno or Node.
 */
function lastPart(path: string | URL): string {
  const text = path instanceof URL ? decodeURIComponent(path.pathname) : path;
  return text.split(/[\\/]/).findLast((part) => part !== "") ?? text;
}

function openFile(path: string | URL, name: string): Deno.FsFile {
  try {
    // A FIFO would block the open for ever: look before.
    if (!Deno.statSync(path).isFile) {
      throw new FormatError("not_a_file", name, "it is not a regular file");
    }
    return Deno.openSync(path, { read: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new FormatError("not_found", name, "there is no such file");
  }
}
