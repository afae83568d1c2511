/**
 * Prints a SHA-256 of the logits a model gives on a picture made by a formula:
 * after the prompt and after each of eight tokens. Equal lines on two machines,
 * builds or thread counts mean equal bits.
 *
 *     deno run --allow-read tools/logits.ts MODEL [--builds simd,relaxed] [--threads 1,2,3] [--runs 1]
 *
 * @module
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { openModelFile } from "../src/format/model_file.ts";
import { fileSource } from "../src/format/source.ts";
import { argmax } from "../src/tensor/argmax.ts";
import { formulaImage } from "../src/image/formula.ts";
import type { Build } from "../src/kernels/load.ts";
import { readAssets } from "../src/runtime/assets.ts";
import { Engine } from "../src/runtime/engine.ts";
import { readStaticModel } from "../src/runtime/static_model.ts";

/** SHA-256 over the logits of a prompt with one picture and of `tokens` greedy tokens. */
export async function logitsHash(
  path: string,
  build: Build,
  threads: number,
  runs = 1,
  tokens = 8,
): Promise<string[]> {
  using file = openModelFile(fileSource(path));
  const model = readStaticModel(file), { info } = model;
  const assets = readAssets(file, info);
  await using engine = await Engine.create(model, assets.image, {
    build,
    threads,
    context: 256,
  });
  const image = formulaImage("waves", info.image.width, info.image.height);
  const ids = [
    1,
    7,
    ...Array(info.imageTokens).fill(info.imageTokenId),
    9,
    11,
    13,
  ]
    .map((id) => Math.min(id, info.vocabulary - 1));
  const hashes: string[] = [];
  for (let run = 0; run < runs; run++) {
    const hash = createHash("sha256");
    const add = (logits: Float32Array) =>
      hash.update(
        new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength),
      );
    engine.reset();
    let logits = await engine.prefill(ids, await engine.encode(image.data));
    add(logits);
    for (let i = 0; i < tokens; i++) {
      logits = await engine.decode(argmax(logits));
      add(logits);
    }
    hashes.push(hash.digest("hex"));
  }
  return hashes;
}

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
        positionals[0],
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
