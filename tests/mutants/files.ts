/**
 * Seeded bugs in the handling of untrusted folders and images.
 * @module
 */
import { type Mutant, of } from "./mutant.ts";

const OWN = ["src/format/own_file_test.ts"];
const LINES = ["src/cli/json_lines_test.ts"];
const BUDGET = ["src/image/budget_test.ts"];
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
];
