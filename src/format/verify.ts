/**
 * Whether a file still holds the bytes that were written into it.
 * @module
 */
import { createHash } from "node:crypto";
import { FormatError, quoted } from "./error.ts";
import type { StoredTensor, TensorFile } from "./safetensors.ts";

/**
 * Reads every tensor and compares its SHA-256 with metadata `sha256`.
 * Returns how many were compared: 0 where the file lists none. Throws
 * `FormatError` "checksum" where one differs or is not listed.
 */
export function verify(file: TensorFile): number {
  const listed = file.metadata.get("sha256");
  if (listed === undefined) return 0;
  const hashes = readHashes(file.name, listed);
  for (const stored of file.tensors.values()) {
    const want = hashes.get(stored.name);
    const got = sha256(stored);
    if (got === want) continue;
    throw new FormatError(
      "checksum",
      file.name,
      `the bytes of ${quoted(stored.name)} hash to ${got.slice(0, 12)}…, ${
        want === undefined ? "none is" : `${want.slice(0, 12)}… is`
      } listed; the file is damaged, copy it again`,
    );
  }
  return file.tensors.size;
}

function readHashes(name: string, text: string): Map<string, string> {
  try {
    const entries = Object.entries(JSON.parse(text));
    return new Map(entries.map(([key, hash]) => [key, String(hash)]));
  } catch {
    throw new FormatError("checksum", name, "its metadata sha256 is not JSON");
  }
}

function sha256(stored: StoredTensor): string {
  const hash = createHash("sha256");
  const chunk = new Uint8Array(Math.min(stored.byteLength, 4 * 2 ** 20));
  for (let at = 0; at < stored.byteLength; at += chunk.length) {
    const part = chunk.subarray(
      0,
      Math.min(chunk.length, stored.byteLength - at),
    );
    stored.readSlice(at, part);
    hash.update(part);
  }
  return hash.digest("hex");
}
