/**
 * ONNX Runtime, native (onnxruntime-node) and in WebAssembly (onnxruntime-web),
 * each from npm. The WebAssembly one runs one thread only under Deno: its
 * workers ask for a kind of module that Deno does not have.
 * @module
 */

const PACKAGES = {
  "onnxruntime-node": "npm:onnxruntime-node@1.30.0",
  "onnxruntime-web": "npm:onnxruntime-web@1.30.0/wasm",
} as const;

/** What of its interface is used here. */
interface Ort {
  readonly env: { wasm: { numThreads: number } };
  readonly Tensor: new (
    type: string,
    data: ArrayBufferView,
    shape: readonly number[],
  ) => unknown;
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<{
      run(inputs: object): Promise<unknown>;
      release(): Promise<void>;
    }>;
  };
}

/** A loaded runtime. */
export interface OnnxRuntime {
  readonly name: keyof typeof PACKAGES;
  /** A model with one input `x`, ready to run; its time counts awaiting it. */
  open(
    model: Uint8Array,
    threads: number,
    type: "float32" | "uint8",
    shape: readonly number[],
  ): Promise<{ run(): Promise<unknown>; close(): Promise<void> }>;
}

/** Loads one of the two. */
export async function onnxRuntime(
  name: keyof typeof PACKAGES,
): Promise<OnnxRuntime> {
  const ort = await import(PACKAGES[name]) as Ort;
  ort.env.wasm.numThreads = 1;
  return {
    name,
    async open(model, threads, type, shape) {
      const session = await ort.InferenceSession.create(model, {
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        executionProviders: [name === "onnxruntime-web" ? "wasm" : "cpu"],
        graphOptimizationLevel: "all",
        logSeverityLevel: 3,
      });
      const count = shape.reduce((a, b) => a * b, 1);
      const data = type === "float32"
        ? Float32Array.from({ length: count }, (_, i) => Math.sin(i))
        : Uint8Array.from({ length: count }, (_, i) => i * 37);
      const x = new ort.Tensor(type, data, shape);
      return {
        run: () => session.run({ x }),
        close: () => session.release(),
      };
    },
  };
}
