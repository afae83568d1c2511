/**
 * The quantizer's float engine on the kernels: float32 storage, wasm products.
 * @module
 */
import type { Engine } from "../quantize/quantize.ts";
import { floatEngine } from "./float_engine.ts";

/** A float32 engine of its own. */
export function float32Engine(): Engine {
  const engine = floatEngine();
  return {
    zeros: (n) => new Float32Array(n),
    load: (t) => Float32Array.from(t.read()),
    matmul: (x, m, k, w, n, bias) =>
      engine.matmulTransposed(
        x as Float32Array,
        m,
        k,
        w as Float32Array,
        n,
        bias as Float32Array | undefined,
      ),
    gram: (x, m, k) => engine.gram(x as Float32Array, m, k),
  };
}
