/**
 * The header of a safetensors file, checked against every rule of the format
 * before memory is allocated for the sizes that it states:
 *
 *     | u64 N | N bytes of JSON | data ............ | end of file
 *               {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ...,
 *                "__metadata__": {string: string}}
 *
 * Format: https://github.com/huggingface/safetensors, "Format". Stricter than
 * the reference in its limits (docs/format.md).
 * @module
 */
import { DTYPE_BYTES, isDType } from "./dtype.ts";
import type { DType } from "./dtype.ts";
import { FormatError, quoted } from "./error.ts";
import type { FormatErrorCode } from "./error.ts";
import type { ByteSource } from "./source.ts";
import { parseStrictJson, StrictJsonError } from "./strict_json.ts";
import type { StrictJson } from "./strict_json.ts";

/** Limits of a header; a file beyond them is refused. */
export const HEADER_LIMITS = {
  /** Maximum bytes of JSON. */
  headerBytes: 32 * 2 ** 20,
  /** Maximum number of tensors. */
  tensors: 65_536,
  /** Maximum UTF-8 bytes of a tensor's name. */
  nameBytes: 256,
  /** Maximum dimensions of a tensor. */
  axes: 8,
} as const;

/** Type, shape and position of a tensor. */
export interface HeaderEntry {
  /** Element type. */
  readonly dtype: DType;
  /** Shape, outermost dimension first. */
  readonly shape: readonly number[];
  /** Offset of its first byte from the start of the file. */
  readonly offset: number;
  /** Its bytes: shape × element size. */
  readonly byteLength: number;
}

/** A checked header. */
export interface Header {
  /** Tensors in the order of their data. */
  readonly entries: ReadonlyMap<string, HeaderEntry>;
  /** `__metadata__`; empty if absent. */
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads and checks the header of `source`.
 * @throws {FormatError}
 */
export function readHeader(source: ByteSource): Header {
  const fail = (code: FormatErrorCode, problem: string): never => {
    throw new FormatError(code, source.name, problem);
  };
  const { headerBytes } = HEADER_LIMITS;
  if (source.size < 10) {
    fail(
      "too_small",
      `${source.size} bytes are too few for a safetensors file`,
    );
  }
  const prefix = new Uint8Array(8);
  source.read(0, prefix);
  const view = new DataView(prefix.buffer);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length > headerBytes) {
    fail(
      "header_too_large",
      `its header claims ${length} bytes, at most ${headerBytes} are allowed; is it a safetensors file?`,
    );
  }
  if (8 + length > source.size) {
    fail(
      "header_truncated",
      `its header claims ${length} bytes but the file holds ${
        source.size - 8
      } after the length; the file is truncated, copy it again`,
    );
  }
  const bytes = new Uint8Array(length);
  source.read(8, bytes);
  if (bytes[0] !== 0x7b) {
    fail("header_start", 'its header does not begin with "{"');
  }
  return parseHeader(decode(bytes, fail), 8 + length, source);
}

type Fail = (code: FormatErrorCode, problem: string) => never;

function decode(bytes: Uint8Array, fail: Fail): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(bytes);
  } catch {
    return fail("header_utf8", "its header is not UTF-8 text");
  }
}

function parseHeader(text: string, dataStart: number, source: ByteSource) {
  const fail: Fail = (code, problem) => {
    throw new FormatError(code, source.name, problem);
  };
  let json: StrictJson;
  try {
    json = parseStrictJson(text, {
      depth: 3,
      values: 16 * (HEADER_LIMITS.tensors + 1),
      naturalsOnly: true,
    });
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    fail(
      error.duplicate ? "duplicate_key" : "header_json",
      `its header ${error.message}`,
    );
  }
  const root = json! as Map<string, StrictJson>; // it began with "{"
  const metadata = readMetadata(root.get("__metadata__"), fail);
  root.delete("__metadata__");
  if (root.size > HEADER_LIMITS.tensors) {
    fail(
      "too_many_tensors",
      `it lists ${root.size} tensors, at most ${HEADER_LIMITS.tensors} are allowed`,
    );
  }
  const entries: [string, HeaderEntry][] = [];
  for (const [name, entry] of root) {
    checkName(name, fail);
    entries.push([name, readEntry(name, entry, dataStart, fail)]);
  }
  entries.sort(([, a], [, b]) =>
    a.offset - b.offset || a.byteLength - b.byteLength
  );
  checkTiling(entries, dataStart, source.size, fail);
  return { entries: new Map(entries), metadata };
}

function readMetadata(
  json: StrictJson | undefined,
  fail: Fail,
): Map<string, string> {
  if (json === undefined) return new Map();
  if (!(json instanceof Map)) {
    return fail("metadata", "its __metadata__ is not an object");
  }
  for (const [key, value] of json) {
    if (typeof value !== "string") {
      fail("metadata", `its __metadata__ ${quoted(key)} is not a string`);
    }
  }
  return json as Map<string, string>;
}

function checkName(name: string, fail: Fail) {
  const most = HEADER_LIMITS.nameBytes;
  const fits = name.length <= most &&
    new TextEncoder().encode(name).length <= most;
  if (name !== "" && name.isWellFormed() && fits) return;
  fail(
    "name",
    `the tensor name ${quoted(name)} is not 1 to ${most} bytes of UTF-8`,
  );
}

function readEntry(
  name: string,
  json: StrictJson,
  dataStart: number,
  fail: Fail,
): HeaderEntry {
  const say = quoted(name);
  if (!(json instanceof Map)) {
    return fail("header_entry", `the entry of tensor ${say} is not an object`);
  }
  const dtype = json.get("dtype");
  const shape = json.get("shape");
  const offsets = json.get("data_offsets");
  if (
    json.size !== 3 || typeof dtype !== "string" || !isNumbers(shape) ||
    !isNumbers(offsets) || offsets.length !== 2
  ) {
    return fail(
      "header_entry",
      `the entry of tensor ${say} must hold exactly dtype (string), shape (whole numbers) and data_offsets (two whole numbers)`,
    );
  }
  if (!isDType(dtype)) {
    return fail(
      "dtype",
      `tensor ${say} has dtype ${quoted(dtype, 20)}; known are ${
        Object.keys(DTYPE_BYTES).join(", ")
      }`,
    );
  }
  if (shape.length > HEADER_LIMITS.axes) {
    fail(
      "shape",
      `tensor ${say} has ${shape.length} dimensions, at most ${HEADER_LIMITS.axes} are allowed`,
    );
  }
  let byteLength = DTYPE_BYTES[dtype];
  for (const extent of shape) {
    byteLength *= extent; // a product of integers that passes 2^53 stays ≥ 2^53
    if (byteLength > Number.MAX_SAFE_INTEGER) {
      fail(
        "overflow",
        `tensor ${say} of shape [${shape}] has 2^53 bytes or more`,
      );
    }
  }
  const [begin, end] = offsets;
  if (begin > end) {
    fail(
      "offsets",
      `tensor ${say} begins at ${begin}, after its end at ${end}`,
    );
  }
  if (end - begin !== byteLength) {
    fail(
      "size_mismatch",
      `tensor ${say} of shape [${shape}] and dtype ${dtype} needs ${byteLength} bytes, its offsets span ${
        end - begin
      }`,
    );
  }
  return { dtype, shape, offset: dataStart + begin, byteLength };
}

function isNumbers(json: StrictJson | undefined): json is number[] {
  return Array.isArray(json) && json.every((x) => typeof x === "number");
}

/**
 * Checks that the tensors cover the data without gap or overlap, up to the end
 * of the file.
 */
function checkTiling(
  entries: readonly [string, HeaderEntry][],
  dataStart: number,
  size: number,
  fail: Fail,
) {
  const last = entries.reduce(
    (end, [, e]) => Math.max(end, e.offset + e.byteLength),
    dataStart,
  );
  if (last > size) {
    fail(
      "truncated",
      `its header claims ${
        last - dataStart
      } bytes of tensors but the file holds ${
        size - dataStart
      }; the file is truncated, copy it again`,
    );
  }
  let at = dataStart;
  for (const [name, { offset, byteLength }] of entries) {
    if (offset < at) fail("overlap", `tensor ${quoted(name)} overlaps another`);
    if (offset > at) {
      fail(
        "hole",
        `${offset - at} bytes before tensor ${
          quoted(name)
        } belong to no tensor`,
      );
    }
    at += byteLength;
  }
  if (at < size) {
    fail(
      "trailing_bytes",
      `${size - at} bytes after the last tensor belong to no tensor`,
    );
  }
}
