/**
 * llama.cpp by its own C interface: the prebuilt library of node-llama-cpp's
 * Linux package, called without anything between, so that the peer pays for no
 * JavaScript of ours. Needs --allow-ffi.
 *
 * The parameter structs are taken as the library fills them and changed at the
 * offsets below (llama.h of the release the package names).
 * @module
 */

/** npm package with the library; its release of llama.cpp is 0.5.0. */
const PACKAGE = "npm:@node-llama-cpp/linux-x64@3.22.1";

const STRUCT = { struct: Array(40).fill("u64") } as const; // larger than any of them
const BATCH = { struct: Array(7).fill("u64") } as const; // n, then six pointers
/** ggml_threadpool_params: 512 flags, three numbers, two flags. */
const POOL_PARAMS = { struct: Array(132).fill("u32") } as const;
const CONTEXT = {
  context: 0,
  batch: 4,
  microBatch: 8,
  threads: 28,
  threadsOfBatch: 32,
  flashAttention: 52,
};

type Struct = Uint8Array<ArrayBuffer>;

const symbols = {
  llama_log_set: { parameters: ["pointer", "pointer"], result: "void" },
  llama_backend_init: { parameters: [], result: "void" },
  llama_print_system_info: { parameters: [], result: "pointer" },
  llama_model_default_params: { parameters: [], result: STRUCT },
  llama_context_default_params: { parameters: [], result: STRUCT },
  llama_model_load_from_file: {
    parameters: ["buffer", STRUCT],
    result: "pointer",
  },
  llama_model_free: { parameters: ["pointer"], result: "void" },
  llama_init_from_model: { parameters: ["pointer", STRUCT], result: "pointer" },
  llama_free: { parameters: ["pointer"], result: "void" },
  llama_batch_get_one: { parameters: ["buffer", "i32"], result: BATCH },
  llama_decode: { parameters: ["pointer", BATCH], result: "i32" },
  llama_synchronize: { parameters: ["pointer"], result: "void" },
  llama_get_memory: { parameters: ["pointer"], result: "pointer" },
  llama_memory_clear: { parameters: ["pointer", "bool"], result: "void" },
  llama_get_logits: { parameters: ["pointer"], result: "pointer" },
  llama_attach_threadpool: {
    parameters: ["pointer", "pointer", "pointer"],
    result: "void",
  },
} as const satisfies Deno.ForeignLibraryInterface;

const poolSymbols = {
  ggml_threadpool_new: { parameters: ["buffer"], result: "pointer" },
  ggml_threadpool_free: { parameters: ["pointer"], result: "void" },
  ggml_threadpool_pause: { parameters: ["pointer"], result: "void" },
  ggml_threadpool_resume: { parameters: ["pointer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** A model ready to run. */
export interface Llama extends Disposable {
  /** Forgets everything. */
  clear(): void;
  /** Takes tokens in and waits for the logits of the last. */
  decode(ids: readonly number[]): void;
  /** Lets its threads run, or sleep while somebody else is measured. */
  awake(yes: boolean): void;
}

/** The library, loaded once. */
export interface LlamaCpp {
  /** What is measured, with the processor build that it chose. */
  readonly name: string;
  open(path: string, threads: number, flashAttention: boolean): Llama;
}

/** Loads the library. */
export async function llamaCpp(): Promise<LlamaCpp> {
  const { getBinsDir } = await import(PACKAGE);
  const folder = `${getBinsDir().binsDir}/linux-x64`;
  const base = Deno.dlopen(`${folder}/libggml-base.so`, {
    ggml_threadpool_params_default: {
      parameters: ["i32"],
      result: POOL_PARAMS,
    },
  });
  const ggml = Deno.dlopen(`${folder}/libggml.v0.5.0.so`, {
    ggml_backend_load_all_from_path: { parameters: ["buffer"], result: "void" },
  });
  const lib = Deno.dlopen(`${folder}/libllama.v0.5.0.so`, symbols).symbols;
  const quiet = new Deno.UnsafeCallback(
    { parameters: ["i32", "pointer", "pointer"], result: "void" },
    () => {},
  );
  lib.llama_log_set(quiet.pointer, null);
  ggml.symbols.ggml_backend_load_all_from_path(text(folder));
  lib.llama_backend_init();
  const cpu = loadedCpu(folder);
  const pools = Deno.dlopen(cpu.path, poolSymbols).symbols;

  return {
    name: `llama.cpp 0.5.0 (${cpu.name})`,
    open(path, threads, flashAttention) {
      const model = lib.llama_model_load_from_file(
        text(path),
        lib.llama_model_default_params() as Struct,
      );
      if (model === null) throw new Error(`llama.cpp cannot load ${path}`);
      const params = lib.llama_context_default_params() as Struct;
      const p = new DataView(params.buffer);
      const set = (at: number, x: number) => p.setInt32(at, x, true);
      if (p.getInt32(CONTEXT.threads, true) !== 4) {
        throw new Error("llama_context_params is laid out in another way");
      }
      set(CONTEXT.context, 1024);
      set(CONTEXT.batch, 512);
      set(CONTEXT.microBatch, 512);
      set(CONTEXT.threads, threads);
      set(CONTEXT.threadsOfBatch, threads);
      set(CONTEXT.flashAttention, flashAttention ? 1 : 0);
      const context = lib.llama_init_from_model(model, params);
      if (context === null) throw new Error("llama.cpp cannot make a context");
      const wish = base.symbols.ggml_threadpool_params_default(
        threads,
      ) as Struct;
      const pool = threads > 1 ? pools.ggml_threadpool_new(wish) : null;
      if (pool) lib.llama_attach_threadpool(context, pool, pool);
      return {
        clear: () =>
          lib.llama_memory_clear(lib.llama_get_memory(context), false),
        decode(ids) {
          const tokens = Int32Array.from(ids);
          const batch = lib.llama_batch_get_one(tokens, ids.length);
          const failed = lib.llama_decode(context, batch);
          if (failed) throw new Error(`llama_decode returned ${failed}`);
          lib.llama_synchronize(context);
          lib.llama_get_logits(context);
        },
        awake(yes) {
          if (!pool) return;
          if (yes) pools.ggml_threadpool_resume(pool);
          else pools.ggml_threadpool_pause(pool);
        },
        [Symbol.dispose]() {
          lib.llama_free(context);
          if (pool) pools.ggml_threadpool_free(pool);
          lib.llama_model_free(model);
        },
      };
    },
  };
}

const text = (s: string) => new TextEncoder().encode(`${s}\0`);

/** Which of the processor builds the library took: the one that is mapped. */
function loadedCpu(folder: string): { path: string; name: string } {
  const maps = Deno.readTextFileSync("/proc/self/maps");
  const found = maps.match(/\S*libggml-cpu-(\w+)\.so/);
  if (!found) throw new Error(`llama.cpp loaded no CPU backend from ${folder}`);
  return { path: found[0], name: found[1] };
}
