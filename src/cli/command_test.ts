import { assertEquals, assertThrows } from "@std/assert";
import { type Command, command, parse } from "./command.ts";
import { UsageError } from "./errors.ts";

const toy: Command = command({
  name: "toy",
  summary: "a toy",
  operands: "PHOTO...",
  arity: [1, 2],
  options: {
    threads: { type: "integer", help: "", min: 1, max: 8 },
    share: { type: "number", help: "", min: 0, max: 1, default: 0.5 },
    model: { type: "string", value: "FILE", help: "" },
    recipe: { type: "string", help: "", choices: ["w4a8", "w8a8"] },
    json: { type: "boolean", help: "" },
  },
  permissions: "none",
  run: () => Promise.resolve(0),
});

const message = (...args: string[]) =>
  assertThrows(() => parse(toy, args), UsageError).message;

Deno.test("values are converted, defaults filled in, operands kept in order", () => {
  const { values, operands } = parse(toy, [
    "a.jpg",
    "--threads=2",
    "--json",
    "--share",
    "1e-1",
    "--",
    "--b.jpg",
  ]);
  assertEquals(operands, ["a.jpg", "--b.jpg"]);
  assertEquals(values, {
    threads: 2,
    share: 0.1,
    model: undefined,
    recipe: undefined,
    json: true,
    help: false,
    debug: false,
  });
  assertEquals(parse(toy, ["-"]).operands, ["-"]);
  assertEquals(parse(toy, ["x"]).values.share, 0.5);
});

Deno.test("help needs nothing else", () => {
  assertEquals(parse(toy, ["--help"]).values.help, true);
});

Deno.test("limits hold at the limit and not beyond", () => {
  for (const good of ["1", "8"]) parse(toy, ["x", "--threads", good]);
  for (const bad of ["0", "9", "1.5", "", " ", "0x", "NaN", "1e400"]) {
    assertThrows(() => parse(toy, ["x", `--threads=${bad}`]), UsageError);
  }
});

Deno.test("each way to be wrong has its sentence", () => {
  assertEquals(
    message("x", "--thraeds", "2"),
    "Cannot toy: there is no option --thraeds; did you mean --threads?",
  );
  assertEquals(
    message("x", "--threads", "9"),
    'Cannot toy: --threads must be a whole number from 1 to 8: current value is "9"; see `mquant toy --help`',
  );
  assertEquals(
    message("x", "--recipe", "w4a9"),
    'Cannot toy: --recipe must be w4a8 or w8a8: current value is "w4a9"; did you mean w4a8?',
  );
  assertEquals(
    message("a", "b", "c"),
    'Cannot toy: it takes PHOTO...: "c" is one too many; see `mquant toy --help`',
  );
  assertEquals(
    message("x", "--model", "--json"),
    "Cannot toy: --model needs a value, FILE; write --model=FILE",
  );
  assertEquals(
    message("x", "-t"),
    "Cannot toy: there is no option -t; see `mquant toy --help`",
  );
  assertEquals(
    message("x", "--__proto__"),
    "Cannot toy: there is no option --__proto__; see `mquant toy --help`",
  );
});
