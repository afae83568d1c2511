/**
 * Writes safetensors files deterministically. Tensors are created one at a
 * time, so a large model needs the memory of one tensor.
 * @module
 */
import { createHash } from "node:crypto";
import { basename } from "@std/path";
import { writeAll, writeAtomically } from "./atomic_write.ts";
import { hashedHeader, HEADER_SHA256, NO_SHA256 } from "./checksum.ts";
import { DTYPE_BYTES } from "./dtype.ts";
import type { DType } from "./dtype.ts";
import { quoted } from "./error.ts";
import { readHeader } from "./header.ts";

/** A tensor to write. */
export interface TensorToWrite {
  /** Its name. */
  readonly name: string;
  /** Element type. */
  readonly dtype: DType;
  /** Shape, outermost dimension first. */
  readonly shape: readonly number[];
  /**
   * Returns its elements, row-major, as they are stored: all at once or in
   * parts, each of which may reuse the memory of the previous one. Called once.
   */
  data(): ArrayBufferView | Iterable<Uint8Array<ArrayBuffer>>;
}

/** Content of a safetensors file. */
export interface SafetensorsContent {
  /** `__metadata__`, in this order. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Tensors; those with wider elements are written first, otherwise in this
   * order.
   */
  readonly tensors: readonly TensorToWrite[];
  /** Store the SHA-256 of the header and of each tensor's bytes as metadata `header_sha256` and `sha256` (JSON: name → hex). */
  readonly sha256?: boolean;
  /**
   * Checks the finished file before it is renamed; if it throws, the old file
   * stays.
   */
  readonly check?: (path: string) => void;
}

const ALIGNMENT = 64; // of the first data byte: one cache line

/**
 * Writes a safetensors file atomically (`writeAtomically`). Tensors are sorted
 * by element size, widest first, so that all are aligned although the format
 * allows no gaps.
 * @throws {RangeError} if data do not have the size of their shape
 */
export function writeSafetensors(
  path: string,
  { metadata, tensors, sha256 = false, check }: SafetensorsContent,
): void {
  const ordered = tensors.toSorted((a, b) =>
    DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype]
  );
  const hashes = new Map(ordered.map((t) => [t.name, NO_SHA256]));
  const header = (own = NO_SHA256) =>
    headerBytes(
      sha256
        ? {
          [HEADER_SHA256]: own, // first: checksum.ts knows its place
          ...metadata,
          sha256: JSON.stringify(Object.fromEntries(hashes)),
        }
        : metadata,
      ordered,
    );
  const draft = header();
  checkDraft(basename(path), draft, ordered);
  writeAtomically(path, (file, temporary) => {
    writeAll(file, draft);
    for (const tensor of ordered) {
      const hash = createHash("sha256");
      let size = 0;
      for (const bytes of piecesOf(tensor)) {
        size += bytes.length;
        if (sha256) hash.update(bytes);
        writeAll(file, bytes);
      }
      const want = bytesOf(tensor);
      if (size !== want) {
        throw new RangeError(
          `Cannot write ${
            quoted(tensor.name)
          }: shape [${tensor.shape}] of ${tensor.dtype} needs ${want} bytes, its data have ${size}`,
        );
      }
      if (sha256) hashes.set(tensor.name, hash.digest("hex"));
    }
    if (sha256) {
      file.seekSync(0, Deno.SeekMode.Start); // hashes have a fixed width: same length
      writeAll(file, header(hash(hashedHeader(header())!)));
    }
    check?.(temporary);
  });
}

function piecesOf(tensor: TensorToWrite): Iterable<Uint8Array<ArrayBuffer>> {
  const data = tensor.data();
  if (!ArrayBuffer.isView(data)) return data;
  const { buffer, byteOffset, byteLength } = data;
  return [new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength)];
}

function hash(parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

function bytesOf({ dtype, shape }: TensorToWrite): number {
  return shape.reduce((a, b) => a * b, DTYPE_BYTES[dtype]);
}

function headerBytes(
  metadata: Readonly<Record<string, string>>,
  tensors: readonly TensorToWrite[],
): Uint8Array<ArrayBuffer> {
  let at = 0;
  // Own text, not JSON.stringify of an object: keys like "1" would move to the front.
  const parts = [`"__metadata__":${JSON.stringify(metadata)}`];
  for (const { name, dtype, shape } of tensors) {
    const end = at + bytesOf({ dtype, shape } as TensorToWrite);
    parts.push(
      `${
        JSON.stringify(name)
      }:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${at},${end}]}`,
    );
    at = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const total = Math.ceil((8 + json.length) / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(total).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(total - 8), true);
  bytes.set(json, 8);
  return bytes;
}

/**
 * Checks that the file will be accepted by the reader: names, counts, sizes,
 * duplicates.
 */
function checkDraft(
  name: string,
  draft: Uint8Array,
  tensors: readonly TensorToWrite[],
) {
  const size = tensors.reduce((sum, t) => sum + bytesOf(t), draft.length);
  readHeader({
    name,
    size,
    read: (offset, buffer) =>
      buffer.set(draft.subarray(offset, offset + buffer.length)),
    [Symbol.dispose]() {},
  });
}
