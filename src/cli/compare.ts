/**
 * `compare A B`: compares the tensors of two files.
 * @module
 */
import { openCheckpoint } from "../format/checkpoint.ts";
import type { TensorFile } from "../format/safetensors.ts";
import { weightScale } from "../graph/names.ts";
import { command } from "./command.ts";
import { EXIT } from "./errors.ts";
import { printable } from "./io.ts";
import { bitsOf, numbersOf } from "./statistics.ts";
import { table } from "./table.ts";

/** The difference of one tensor. */
interface Row {
  readonly name: string;
  /** RMS(B − A) / RMS(A); 0 if equal, null if the sizes differ. */
  readonly error: number | null;
  /** Largest |B − A|. */
  readonly most: number | null;
}

export default command({
  name: "compare",
  summary: "compare the tensors of two files",
  operands: "A B",
  arity: [2, 2],
  options: {
    all: { type: "boolean", help: "also print tensors that are equal" },
    json: { type: "boolean", help: "print one JSON object" },
  },
  notes:
    "Quantized weights are dequantized first. This is meant for two files of one model, such as two\nrecipes. Passes rotate weights, so every weight of a model file differs from its checkpoint.",
  permissions: "--allow-read",
  run([a, b], values, io) {
    using A = openCheckpoint(a);
    using B = openCheckpoint(b);
    const common = namesOf(A).filter((n) => B.tensors.has(n));
    const onlyA = namesOf(A).filter((n) => !B.tensors.has(n));
    const onlyB = namesOf(B).filter((n) => !A.tensors.has(n));
    const rows = common.map((name) => compare(A, B, name));
    if (values.json) {
      io.out(`${JSON.stringify({ tensors: rows, onlyA, onlyB })}\n`);
      return Promise.resolve(EXIT.ok);
    }
    const shown = rows.filter((r) => values.all || r.error !== 0);
    const n = (x: number | null) => x === null ? "size" : x.toPrecision(3);
    if (shown.length > 0) {
      io.out(table([
        ["tensor", "relative error", "largest"],
        ...shown.map((r) => [printable(r.name), n(r.error), n(r.most)]),
      ]));
    }
    for (const name of onlyA) io.out(`only in A: ${printable(name)}\n`);
    for (const name of onlyB) io.out(`only in B: ${printable(name)}\n`);
    io.out(
      `${common.length} tensors in both, ${
        rows.filter((r) => r.error === 0).length
      } equal; ${onlyA.length} only in A, ${onlyB.length} only in B\n`,
    );
    return Promise.resolve(EXIT.ok);
  },
});

/**
 * Names of the compared tensors: no assets, and no weight scales, which belong
 * to their weight.
 */
function namesOf(file: TensorFile): string[] {
  const scales = new Set([...bitsOf(file).keys()].map(weightScale));
  return [...file.tensors.keys()].filter((n) =>
    !n.startsWith("file:") && !scales.has(n)
  );
}

/** Values of a tensor; quantized weights are dequantized. */
function values(file: TensorFile, name: string): Float64Array {
  const x = numbersOf(file, name);
  if (!bitsOf(file).has(name) || !file.tensors.has(weightScale(name))) return x;
  const scale = numbersOf(file, weightScale(name));
  const k = x.length / scale.length;
  for (let i = 0; i < x.length; i++) x[i] *= scale[Math.floor(i / k)];
  return x;
}

function compare(A: TensorFile, B: TensorFile, name: string): Row {
  const a = values(A, name), b = values(B, name);
  if (a.length !== b.length) return { name, error: null, most: null };
  let signal = 0, noise = 0, most = 0;
  for (let i = 0; i < a.length; i++) {
    signal += a[i] ** 2;
    noise += (b[i] - a[i]) ** 2;
    most = Math.max(most, Math.abs(b[i] - a[i]));
  }
  return { name, error: noise === 0 ? 0 : Math.sqrt(noise / signal), most };
}
