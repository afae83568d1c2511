/**
 * Verifies a file against its checksums.
 * @module
 */
import { sha256, soon } from "../platform/platform.ts";
import { hashedHeader, HEADER_SHA256 } from "./checksum.ts";
import { FormatError, quoted } from "./error.ts";
import type { StoredTensor, TensorFile } from "./safetensors.ts";
import type { ByteSource } from "./source.ts";

/**
 * Compares the header and every tensor of the file in `source` with the
 * checksums in its metadata.
 * @returns the number of compared tensors; 0 if the file lists no checksums
 * (`mquant/1`, or not a model file)
 * @throws {FormatError} "checksum" if one differs or is missing
 * @throws the reason of `signal` if it is aborted
 */
export async function verify(
  source: ByteSource,
  file: TensorFile,
  signal?: AbortSignal,
): Promise<number> {
  const damaged = (problem: string) =>
    new FormatError(
      "checksum",
      file.name,
      `${problem}; the file is damaged, copy it again`,
    );
  const { metadata } = file;
  const header = metadata.get(HEADER_SHA256), listed = metadata.get("sha256");
  const must = /^mquant\/(1\.[1-9]|[2-9])/.test(metadata.get("format") ?? "");
  if (must && (header === undefined || listed === undefined)) {
    throw damaged("its format requires checksums, and some are missing");
  }
  if (header !== undefined && await headerHash(source) !== header) {
    throw damaged("its header does not match its checksum");
  }
  if (listed === undefined) return 0;
  const hashes = readHashes(file.name, listed);
  const largest = Math.max(
    ...[...file.tensors.values()].map((t) => t.byteLength),
  );
  const chunk = new Uint8Array(Math.min(largest, 4 * 2 ** 20));
  for (const stored of file.tensors.values()) {
    if (signal) {
      await new Promise<void>((done) => soon(done));
      signal.throwIfAborted();
    }
    const want = hashes.get(stored.name);
    const got = await sha256(chunksOf(stored, chunk));
    if (got === want) continue;
    throw damaged(
      `the bytes of ${quoted(stored.name)} hash to ${got.slice(0, 12)}…, ${
        want === undefined ? "none is" : `${want.slice(0, 12)}… is`
      } listed`,
    );
  }
  return file.tensors.size;
}

/** The header's hash; undefined if the header has none at the fixed position. */
async function headerHash(source: ByteSource): Promise<string | undefined> {
  const prefix = new Uint8Array(8);
  source.read(0, prefix);
  const length = new DataView(prefix.buffer).getUint32(0, true); // was checked
  const header = new Uint8Array(8 + length);
  source.read(0, header);
  const hashed = hashedHeader(header);
  return hashed && await sha256(hashed);
}

function readHashes(name: string, text: string): Map<string, string> {
  try {
    const entries = Object.entries(JSON.parse(text));
    return new Map(entries.map(([key, hash]) => [key, String(hash)]));
  } catch {
    throw new FormatError("checksum", name, "its metadata sha256 is not JSON");
  }
}

/** Reads a tensor in parts of the size of `chunk`. */
function* chunksOf(
  stored: StoredTensor,
  chunk: Uint8Array<ArrayBuffer>,
): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < stored.byteLength; at += chunk.length) {
    const part = chunk.subarray(
      0,
      Math.min(chunk.length, stored.byteLength - at),
    );
    stored.readSlice(at, part);
    yield part;
  }
}
