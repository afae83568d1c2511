/**
 * `inspect FILE TENSOR`: what is in one tensor.
 * @module
 */
import { openCheckpoint } from "../format/checkpoint.ts";
import { command } from "./command.ts";
import { EXIT, UsageError } from "./errors.ts";
import { printable } from "./io.ts";
import { numbersOf, statistics } from "./statistics.ts";
import { nearest } from "./suggest.ts";

export default command({
  name: "inspect",
  summary: "print the numbers of one tensor of a model file",
  operands: "FILE TENSOR",
  arity: [2, 2],
  options: {
    first: {
      type: "integer",
      help: "numbers to print",
      min: 0,
      max: 1_000_000,
      default: 8,
    },
    json: { type: "boolean", help: "one JSON object" },
  },
  notes:
    "A U8 weight of two 4-bit codes per byte is printed as codes from -8 to 7.",
  permissions: "--allow-read",
  run([path, name], values, io) {
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
      return Promise.resolve(EXIT.ok);
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
    return Promise.resolve(EXIT.ok);
  },
});
