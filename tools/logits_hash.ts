/**
 * A hash of a model's logits: equal hashes mean equal bits. Does not depend on Deno,
 * so that it runs in browsers.
 * @module
 */
import { openModelFile } from "../src/format/model_file.ts";
import type { ByteSource } from "../src/format/source.ts";
import { imageInfoOf } from "../src/graph/info.ts";
import { formulaImage } from "../tests/formula_image.ts";
import type { Build } from "../src/kernels/load.ts";
import { readAssets } from "../src/session/assets.ts";
import { Engine } from "../src/execute/engine.ts";
import { readStaticModel } from "../src/graph/static_model.ts";
import { argmax } from "../src/tensor/argmax.ts";

/** SHA-256 over the logits of a prompt with one picture and of `tokens` greedy tokens. */
export async function logitsHash(
  source: ByteSource,
  build: Build,
  threads: number,
  runs = 1,
  tokens = 8,
): Promise<string[]> {
  using file = openModelFile(source);
  const model = readStaticModel(file), { info } = model;
  const assets = readAssets(file, info);
  await using engine = await Engine.create(model, assets.image, {
    build,
    threads,
    context: Math.min(256, info.maxPositions), // a toy has fewer
  });
  const { width, height, tokens: rows, tokenId } = imageInfoOf(info);
  const image = formulaImage("waves", width, height);
  const ids = [
    1,
    7,
    ...Array(rows).fill(tokenId),
    9,
    11,
    13,
  ]
    .map((id) => Math.min(id, info.vocabulary - 1));
  const hashes: string[] = [];
  for (let run = 0; run < runs; run++) {
    const all: Float32Array<ArrayBuffer>[] = [];
    engine.reset();
    let logits = await engine.prefill(ids, await engine.encode(image));
    all.push(new Float32Array(logits));
    for (let i = 0; i < tokens; i++) {
      logits = await engine.decode(argmax(logits));
      all.push(new Float32Array(logits));
    }
    const bytes = await new Blob(all).arrayBuffer();
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    hashes.push(new Uint8Array(digest).toHex());
  }
  return hashes;
}
