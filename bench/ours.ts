/**
 * What is measured: this project's engine over a model file of random codes,
 * and its kernels over a memory of their own.
 * @module
 */
import { openModelFile } from "../src/format/model_file.ts";
import { fileSource } from "../src/format/source.ts";
import { gemmScratchBytes, weightBytes } from "../src/kernels/layout.ts";
import { kernelMemory, loadKernels } from "../src/kernels/load.ts";
import { run, signatures } from "../src/kernels/signatures/mod.ts";
import { Engine } from "../src/execute/engine.ts";
import { readStaticModel } from "../src/graph/static_model.ts";
import { randomModelFile } from "../tools/random_checkpoint.ts";

/** Makes the file of a model once, and opens an engine over it. */
export async function openOurs(
  name: string,
  folder: string,
  threads: number,
  { bits = 4, head = 8 } = {},
): Promise<Engine> {
  const path = `${folder}/${name}.w${bits}h${head}.safetensors`;
  try {
    Deno.statSync(path);
  } catch {
    randomModelFile(name, path, { bits, head });
  }
  using file = openModelFile(fileSource(path));
  const half = [0.5, 0.5, 0.5];
  const pixels = { rescale: 1 / 255, mean: half, std: half };
  return await Engine.create(readStaticModel(file), pixels, {
    threads,
    context: 1024,
  });
}

/**
 * A product as a model does it: float rows to codes on a static scale, codes
 * times weights, back to float. `codes` leaves the first part out.
 */
export function product(
  bits: 4 | 8,
  [m, k, n]: readonly [number, number, number],
  codes: boolean,
): () => void {
  const MiB = 1 << 20, w = 64 * MiB, size = w + weightBytes(bits, n, k);
  const memory = kernelMemory(Math.ceil(size / 65536), false);
  const kernels = loadKernels({ memory }),
    bytes = new Uint8Array(memory.buffer);
  for (let at = w; at < size; at += 65536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, size)));
  }
  const x = 2 * MiB, q = 16 * MiB, sums = 20 * MiB, alpha = 21 * MiB;
  const bias = 22 * MiB, y = 24 * MiB, scratch = MiB;
  if (gemmScratchBytes(k) > MiB) throw new Error("the scratch is too small");
  new Float32Array(memory.buffer, x, m * k).forEach((_, i, all) =>
    all[i] = Math.sin(i)
  );
  new Float32Array(memory.buffer, alpha, n).fill(0.01);
  const quantize = () =>
    run(kernels, signatures.quantize_f32_s8, {
      x,
      ldx: k,
      inv: 100,
      q,
      sums,
      k,
      rows: [0, m],
      rowBlock: m === 1 ? 1 : 4,
    });
  quantize();
  const call = {
    x: q,
    sums,
    w,
    alpha,
    bias,
    y,
    k,
    n: [0, n] as const,
    accumulate: 0,
  };
  const several = { ...call, rows: m, ldy: n, scratch };
  const multiply = m === 1
    ? () => run(kernels, signatures[`gemv_w${bits}a8`], call)
    : () => run(kernels, signatures[`gemm_w${bits}a8`], several);
  return codes ? multiply : () => {
    quantize();
    multiply();
  };
}
