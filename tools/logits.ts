/**
 * Prints a SHA-256 of a model's logits on an image computed by a formula: after the
 * prompt and after each of eight tokens. Equal lines on two machines,
 * builds or thread counts mean equal bits.
 *
 *     deno run --allow-read tools/logits.ts MODEL [--builds simd,relaxed] [--threads 1,2,3] [--runs 1]
 *
 * @module
 */
import { parseArgs } from "node:util";
import { fileSource } from "../src/format/source.ts";
import type { Build } from "../src/kernels/load.ts";
import { logitsHash } from "./logits_hash.ts";

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      builds: { type: "string", default: "simd,relaxed" },
      threads: { type: "string", default: "1,2,3" },
      runs: { type: "string", default: "1" },
    },
  });
  for (const build of values.builds.split(",")) {
    for (const threads of values.threads.split(",")) {
      const hashes = await logitsHash(
        fileSource(positionals[0]),
        build as Build,
        Number(threads),
        Number(values.runs),
      );
      const distinct = [...new Set(hashes)];
      console.log(
        `${Deno.build.arch} ${build} ${threads} threads, ${hashes.length} runs: ${
          distinct.join(" ")
        }`,
      );
    }
  }
}
