/**
 * `inspect FILE TENSOR`: prints the values of a tensor. `inspect FILE
 * --verify`: compares a model file with its checksums.
 * @module
 */
import { openCheckpoint } from "../format/checkpoint.ts";
import { FormatError } from "../format/error.ts";
import { openSafetensors } from "../format/safetensors.ts";
import { fileSource } from "../format/source.ts";
import { verify } from "../format/verify.ts";
import { command } from "./command.ts";
import { EXIT, UsageError } from "./errors.ts";
import { printable } from "./io.ts";
import { numbersOf, statistics } from "./statistics.ts";
import { nearest } from "./suggest.ts";

export default command({
  name: "inspect",
  summary: "print the values of one tensor, or verify a model file",
  operands: "FILE [TENSOR]",
  arity: [1, 2],
  options: {
    first: {
      type: "integer",
      help: "number of values to print",
      min: 0,
      max: 1_000_000,
      default: 8,
    },
    verify: {
      type: "boolean",
      help: "compare the whole file with its checksums",
    },
    json: { type: "boolean", help: "print one JSON object" },
  },
  notes:
    "A 4-bit weight (U8, two values per byte) is printed as values from -8 to 7.",
  permissions: "--allow-read",
  async run([path, name], values, io) {
    if (values.verify) {
      io.out(await verified(path, values.json, io.signal));
      if (name === undefined) return EXIT.ok;
    }
    if (name === undefined) {
      throw new UsageError(
        `Cannot inspect ${
          JSON.stringify(path)
        }: no tensor was named; \`mquant show FILE\` lists them`,
      );
    }
    using file = openCheckpoint(path);
    if (!file.tensors.has(name)) {
      const near = nearest(name, [...file.tensors.keys()]);
      throw new UsageError(
        `Cannot inspect ${JSON.stringify(name)}: ${
          JSON.stringify(file.name)
        } has no such tensor; ${
          near ? `did you mean ${near}?` : "`mquant show FILE` lists them"
        }`,
      );
    }
    const { dtype, shape } = file.tensor(name);
    const numbers = numbersOf(file, name);
    const s = statistics(numbers);
    const first = Array.from(numbers.subarray(0, values.first));
    if (values.json) {
      io.out(`${JSON.stringify({ name, dtype, shape, ...s, first })}\n`);
      return EXIT.ok;
    }
    const n = (x: number) => String(Number(x.toPrecision(6)));
    io.out(
      `${printable(name)}  ${dtype} [${shape}]  ${s.count} numbers
least ${n(s.least)}, greatest ${n(s.greatest)}, mean ${
        n(s.mean)
      }, standard deviation ${n(s.deviation)}, zeros ${s.zeros}\n${
        first.length ? first.map(n).join(" ") + "\n" : ""
      }`,
    );
    return EXIT.ok;
  },
});

/** Compares a file with its checksums; returns the message. */
async function verified(
  path: string,
  json: boolean,
  signal: AbortSignal,
): Promise<string> {
  using source = fileSource(path);
  const file = openSafetensors(source);
  const tensors = await verify(source, file, signal);
  if (tensors === 0) {
    throw new FormatError(
      "checksum",
      file.name,
      "it has no checksums, so it cannot be verified; quantize the checkpoint again",
    );
  }
  return json
    ? `${JSON.stringify({ file: file.name, verified: tensors })}\n`
    : `${file.name}: header and ${tensors} tensors match their checksums\n`;
}
