/**
 * Seeded bugs in the handling of untrusted folders and images.
 * @module
 */
import { type Mutant, of } from "./mutant.ts";

const OWN = ["src/format/own_file_test.ts"];
const LINES = ["src/cli/json_lines_test.ts"];
const BUDGET = ["src/image/budget_test.ts"];
const UNSOUND = ["tests/convert/unsound_test.ts"];
const WEBP = ["src/image/webp_test.ts"];

/** All of them. */
export const FILES: readonly Mutant[] = [
  ...of(
    "src/format/own_file.ts",
    OWN,
    [
      "a link is opened",
      'if (info.isSymlink) refuse(path, "it is a symbolic link");',
      "if (info.isSymlink) return undefined;",
    ],
    ["a hard link is opened", "(info.nlink ?? 1) > 1", "false"],
    [
      "what was swapped is opened",
      "b.isFile && a.dev === b.dev && a.ino === b.ino",
      "true",
    ],
    ["a new file may be a link", "createNew: true", "create: true"],
  ),
  ...of(
    "src/cli/json_lines.ts",
    LINES,
    [
      "a foreign journal is ours",
      "return line.folder === folder;",
      "return true;",
    ],
    ["foreign lines count", ".filter((line) => line.folder === folder)", ""],
    ["any file is a journal", "if (!isJournal(text)) return false;", ""],
  ),
  ...of(
    "src/cli/io.ts",
    ["src/cli/io_test.ts"],
    ["bidi passes", "\\p{Bidi_Control}\\u2028", "\\u2028"],
    ["separators of lines pass", "\\u2028\\u2029", ""],
  ),
  ...of(
    "src/format/atomic_write.ts",
    ["tests/damage/write_test.ts"],
    [
      "others' temporary files are swept",
      "stem !== undefined && ours.has(stem)",
      "stem !== undefined",
    ],
    ["who may read is told later", "...(mode !== undefined && { mode }),", ""],
  ),
  ...of(
    "src/image/jpeg.ts",
    BUDGET,
    [
      "samples without end",
      "if (samples > MOST_SAMPLES) {",
      "if (samples < 0) {",
    ],
  ),
  ...of(
    "src/image/png.ts",
    BUDGET,
    [
      "chunks without end",
      "if (chunks === MOST_CHUNKS) {",
      "if (chunks < 0) {",
    ],
  ),
  ...of(
    "src/image/inflate.ts",
    BUDGET,
    ["blocks without end", 'if (--blocks < 0) return "damaged";', ""],
  ),
  ...of(
    "src/image/codec.ts",
    WEBP,
    [
      "memory without end",
      "this.buffer.byteLength + pages * PAGE > made.most",
      "false",
    ],
  ),
  ...of(
    "src/image/webp.ts",
    WEBP,
    ["failures give pixels", "return undefined;\n  };", "return pixels;\n  };"],
  ),
  ...of(
    "src/format/finite.ts",
    ["src/format/finite_test.ts"],
    [
      "NaN of two bytes passes",
      "const words = new Uint16Array(buffer, 0, length / 2);",
      "const words = new Uint16Array(0);",
    ],
    [
      "NaN beyond the first part passes",
      "if (found < 0) continue;",
      "if (found < 0) break;",
    ],
    ["bfloat16 is read as float16", "BF16: 0x7f80", "BF16: 0x7c00"],
  ),
  ...of(
    "src/convert/weights.ts",
    UNSOUND,
    [
      "wrong weights are found and not told",
      "if (wrong.size === 0) return;",
      "return;",
    ],
  ),
  ...of(
    "src/convert/opens.ts",
    UNSOUND,
    [
      "constants are not computed",
      "for (const { fill } of persistent) fill?.();",
      "",
    ],
  ),
  ...of(
    "src/format/write.ts",
    UNSOUND,
    ["a file gets its name unseen", "check?.(temporary);", ""],
  ),
  ...of(
    "src/graph/generate.ts",
    UNSOUND,
    [
      "a model may say the image token",
      "if (id !== image?.tokenId) return id;",
      "return id;",
    ],
  ),
  ...of(
    "src/cli/decoding.ts",
    ["src/cli/decoding_test.ts"],
    ["threads without end", "if (busy < MOST_BUSY)", "if (busy >= 0)"],
    ["Ctrl-C is not heard", 'signal.addEventListener("abort", stop);', ""],
    ["a photo may take for ever", "reject(tooLong(photo.name, ms))", "{}"],
    ["a thread is lost after its photo", "(idle ??= thread, answer)", "answer"],
  ),
  ...of(
    "src/cli/captioner.ts",
    ["src/cli/captioner_test.ts"],
    [
      "a model that was replaced answers",
      "if (modelHash(path) === hash) return session;",
      "return session;",
    ],
    [
      "the schema is read for each photo",
      "askOptions(question, io.signal)",
      "askOptions(questionOf(values), io.signal)",
    ],
  ),
];
