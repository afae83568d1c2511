/**
 * Measures time and memory of a model file: opens it, runs an image computed by a
 * formula, and prints one row of docs/models.md: time to the first token (image,
 * tower, prompt), tokens per second after it, peak memory of the process. Random
 * values (random_checkpoint.ts --static) take the same time as real ones. Needs all
 * permissions, because Deno requires them for /proc.
 *
 *     deno run --allow-all tools/real_run.ts FILE [--threads 2] [--tokens 32] [--runs 3]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { formulaImage } from "../tests/formula_image.ts";
import { open } from "../src/mod.ts";

const { values, positionals: [path] } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "2" },
    tokens: { type: "string", default: "32" },
    runs: { type: "string", default: "3" },
  },
});

/** The middle one. */
function median(all: readonly number[]): number {
  return all.toSorted((a, b) => a - b)[all.length >> 1];
}

/** Largest resident set of this process so far, in MiB; Linux only. */
function peak(): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? NaN) / 1024;
}

const session = await open(path, { threads: Number(values.threads) });
const { info } = session, first: number[] = [], pace: number[] = [];
let seen = 0;
for (let run = 0; run < Number(values.runs); run++) {
  const { timings, tokens, promptTokens } = await session.caption(
    formulaImage("waves", 640, 480),
    { maxTokens: Number(values.tokens) },
  );
  first.push(timings.imageMs + timings.visionMs + timings.prefillMs);
  if (tokens.length > 1) {
    pace.push((tokens.length - 1) / timings.decodeMs * 1000);
  }
  seen = promptTokens;
}
const cell = (x: number, digits = 0) => x.toFixed(digits);
console.log(
  `| ${
    [
      path.replace(/^.*\//, "").replace(/\.safetensors$/, ""),
      `${info.threads}`,
      `${seen}`,
      cell(median(first) / 1000, 2),
      pace.length > 0 ? cell(median(pace), 1) : "–",
      cell(info.memory.total / 2 ** 20),
      cell(peak()),
    ].join(" | ")
  } |`,
);
await session[Symbol.asyncDispose]();
