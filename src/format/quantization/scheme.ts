/**
 * The quantization scheme of a checkpoint, from `quantization_config` in
 * config.json. AWQ, GPTQ and FP8 are dequantized to floats; other schemes are
 * refused by name.
 * @module
 */
import { quoted } from "../error.ts";

/** A supported scheme. */
export type Scheme =
  /** AutoAWQ's "gemm" layout. */
  | { readonly kind: "awq"; readonly groupSize: number }
  | {
    readonly kind: "gptq";
    readonly bits: 2 | 4 | 8;
    readonly groupSize: number;
    /** Version 1 stores zero points minus one. */
    readonly zeroOffset: 0 | 1;
  }
  | {
    readonly kind: "fp8";
    /** Rows and columns that share a scale; undefined where a tensor or a row does. */
    readonly block: readonly [number, number] | undefined;
  };

type Settings = Readonly<Record<string, unknown>>;

/** Schemes that are not supported: `quant_method` and its description. */
const REFUSED: Readonly<Record<string, string>> = {
  aqlm: "codes of learned codebooks",
  "auto-round": "integers in one of several packings",
  bitnet: "ternary numbers",
  bitsandbytes: "NF4, FP4 or int8 codes of the bitsandbytes library",
  eetq: "int8 numbers in an order for GPUs",
  fp_quant: "4-bit floats",
  gguf: "blocks of llama.cpp",
  higgs: "codes of a vector grid",
  hqq: "integers with half-quadratic zero points",
  mxfp4: "4-bit floats with shared exponents",
  mxfp8: "8-bit floats with shared exponents",
  nvfp4: "4-bit floats with 8-bit scales",
  quanto: "tensors of the optimum-quanto library",
  quark: "tensors of AMD's Quark library",
  spqr: "integers with sparse outliers",
  torchao: "tensors of the torchao library",
  vptq: "codes of learned codebooks",
};

const INSTEAD =
  "use the original checkpoint that it was made from, or one with AWQ, GPTQ or FP8 weights";

/**
 * The scheme of a config.json; undefined for float weights.
 * @throws {RangeError} naming an unsupported scheme, what it is and what to use
 * instead
 */
export function schemeOf(config: Settings): Scheme | undefined {
  const settings = settingsOf(config);
  if (!settings) return undefined;
  const method = settings.quant_method ?? "no quant_method";
  switch (method) {
    case "awq":
      return awq(settings);
    case "gptq":
      return gptq(settings);
    case "fp8":
    case "fbgemm_fp8":
      return { kind: "fp8", block: blockOf(settings.weight_block_size) };
    case "compressed-tensors":
      return compressed(settings);
  }
  const name = String(method);
  return refuse(
    name,
    Object.hasOwn(REFUSED, name)
      ? REFUSED[name]
      : "in a form that is not known here",
  );
}

/** quantization_config, at the top level or in a nested config. */
function settingsOf(config: Settings): Settings | undefined {
  for (const at of [config, config.text_config, config.llm_config]) {
    for (const key of ["quantization_config", "compression_config"]) {
      const found = (at as Settings | null | undefined)?.[key];
      if (typeof found !== "object" || found === null) continue;
      if (Object.keys(found).length > 0) return found as Settings;
    }
  }
  return undefined;
}

function awq(settings: Settings): Scheme {
  const { bits = 4, version = "gemm", zero_point = true } = settings;
  const layout = String(version).toLowerCase();
  if (bits !== 4 || layout !== "gemm" || zero_point !== true) {
    refuse(
      "awq",
      `${bits} bits in the layout ${
        quoted(layout)
      }, zero_point ${zero_point}, where 4 bits in the layout "gemm" with zero points are read`,
    );
  }
  return { kind: "awq", groupSize: groupSizeOf(settings) };
}

function gptq(settings: Settings): Scheme {
  const { bits, checkpoint_format: format = "gptq" } = settings;
  if (bits !== 2 && bits !== 4 && bits !== 8) {
    refuse("gptq", `${bits} bits, where 2, 4 and 8 are read`);
  }
  if (format !== "gptq" && format !== "gptq_v2") {
    refuse(
      "gptq",
      `in the layout ${
        quoted(String(format))
      }, where "gptq" and "gptq_v2" are read`,
    );
  }
  return {
    kind: "gptq",
    bits,
    groupSize: groupSizeOf(settings),
    zeroOffset: format === "gptq" ? 1 : 0,
  };
}

/** Of the kinds of compressed-tensors, weights of 8-bit floats. */
function compressed(settings: Settings): Scheme {
  const { format, config_groups: groups } = settings;
  const weights = Object.values((groups ?? {}) as Settings)
    .map((group) => (group as Settings | null)?.weights as Settings | null);
  const floats = weights.length > 0 &&
    weights.every((w) => w?.type === "float" && w.num_bits === 8);
  const known = ["float-quantized", "naive-quantized", undefined];
  if (!floats || !known.includes(format as string | undefined)) {
    const kinds = weights.map((w) => `${w?.num_bits} bits, ${w?.type}`);
    refuse(
      "compressed-tensors",
      `in the format ${quoted(String(format))} (${
        kinds.join("; ") || "no groups"
      }), where 8-bit floats are read ("float-quantized")`,
    );
  }
  const blocks = weights.map((w) => blockOf(w?.block_structure));
  if (new Set(blocks.map(String)).size > 1) {
    refuse("compressed-tensors", `blocks of several sizes (${blocks})`);
  }
  return { kind: "fp8", block: blocks[0] };
}

/** Inputs that share a scale; all of a row where -1. */
function groupSizeOf({ group_size: size = 128 }: Settings): number {
  if (size === -1) return Infinity;
  if (Number.isInteger(size) && (size as number) > 0) return size as number;
  throw new RangeError(
    `Cannot read config.json: group_size of quantization_config must be a positive integer or -1: current value is ${
      JSON.stringify(size)
    }`,
  );
}

function blockOf(value: unknown): readonly [number, number] | undefined {
  if (value === undefined || value === null) return undefined;
  if (
    Array.isArray(value) && value.length === 2 &&
    value.every((v) => Number.isInteger(v) && v > 0)
  ) return [value[0], value[1]];
  throw new RangeError(
    `Cannot read config.json: the block of quantization_config must be two positive integers: current value is ${
      JSON.stringify(value)
    }`,
  );
}

function refuse(method: string, what: string): never {
  throw new RangeError(
    `Cannot import a checkpoint whose weights are quantized with ${
      quoted(method)
    } (quantization_config of config.json): they are ${what}; ${INSTEAD}`,
  );
}
