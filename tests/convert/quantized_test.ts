/**
 * Quantized checkpoints: weights packed here by the inverse of each formula are read
 * as exactly the floats that they represent.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { openFloatCheckpoint } from "../../src/convert/checkpoint.ts";
import type { DType } from "../../src/format/dtype.ts";
import { decodedTensors } from "../../src/format/quantization/mod.ts";
import { schemeOf } from "../../src/format/quantization/scheme.ts";
import { openSafetensors } from "../../src/format/safetensors.ts";
import { fileSource } from "../../src/format/source.ts";
import {
  type TensorToWrite,
  writeSafetensors,
} from "../../src/format/write.ts";
import { openCheckpoint } from "../../src/format/checkpoint.ts";
import { f16ToF32, f32ToF16, f8ToF32 } from "../../src/tensor/float16.ts";
import { random, uniform } from "../../src/tensor/random.ts";

type Json = Record<string, unknown>;

const tensor = (
  name: string,
  dtype: DType,
  shape: number[],
  values: ArrayBufferView,
): TensorToWrite => ({ name, dtype, shape, data: () => values });

/** A weight as a sum of rows: whole numbers, zero points and scales by input and output. */
interface Weight {
  readonly inputs: number;
  readonly outputs: number;
  readonly bits: number;
  /** Group of each input. */
  readonly groups: readonly number[];
  readonly q: (k: number, n: number) => number;
  readonly zero: (g: number, n: number) => number;
  readonly scales: Uint16Array; // [groups, outputs], binary16
}

function randomWeight(
  inputs: number,
  outputs: number,
  bits: number,
  size: number,
  seed: number,
  shuffled = false,
): Weight {
  const from = random(seed),
    next = () => uniform(from),
    below = (n: number) => Math.floor(next() * n);
  const groups = Array.from({ length: inputs }, (_, k) => Math.floor(k / size));
  if (shuffled) {
    for (let k = inputs - 1; k > 0; k--) {
      const other = below(k + 1);
      [groups[k], groups[other]] = [groups[other], groups[k]];
    }
  }
  const count = Math.ceil(inputs / size), most = 2 ** bits;
  const q = Array.from({ length: inputs * outputs }, () => below(most));
  const z = Array.from({ length: count * outputs }, () => below(most));
  return {
    ...{ inputs, outputs, bits, groups },
    q: (k, n) => q[k * outputs + n],
    zero: (g, n) => z[g * outputs + n],
    scales: f32ToF16(
      Array.from({ length: count * outputs }, () => 0.001 + next() / 8),
    ),
  };
}

/** What the weight is, [outputs, inputs]. */
function floatsOf(w: Weight): number[] {
  const scales = f16ToF32(w.scales), out: number[] = [];
  for (let n = 0; n < w.outputs; n++) {
    for (let k = 0; k < w.inputs; k++) {
      const g = w.groups[k];
      out.push((w.q(k, n) - w.zero(g, n)) * scales[g * w.outputs + n]);
    }
  }
  return out;
}

/** Whole numbers side by side in int32 words, value i of a word at `place(i)`. */
function pack(
  rows: number,
  words: number,
  bits: number,
  value: (row: number, column: number) => number,
  place = (i: number) => i,
): Int32Array {
  const per = 32 / bits, out = new Int32Array(rows * words);
  for (let r = 0; r < rows; r++) {
    for (let w = 0; w < words; w++) {
      for (let i = 0; i < per; i++) {
        out[r * words + w] |= value(r, w * per + i) << bits * place(i);
      }
    }
  }
  return out;
}

function transposedPack(w: Weight): Int32Array {
  const words = w.inputs * w.bits / 32;
  const packed = pack(w.outputs, words, w.bits, (n, k) => w.q(k, n));
  const out = new Int32Array(packed.length);
  for (let n = 0; n < w.outputs; n++) {
    for (let k = 0; k < words; k++) {
      out[k * w.outputs + n] = packed[n * words + k];
    }
  }
  return out;
}

/** A linear as GPTQ stores it. */
function gptq(name: string, w: Weight, version: 1 | 2): TensorToWrite[] {
  const words = w.outputs * w.bits / 32, most = 2 ** w.bits;
  const count = w.scales.length / w.outputs;
  const stored = (g: number, n: number) =>
    version === 2 ? w.zero(g, n) : (w.zero(g, n) + most - 1) % most;
  return [
    tensor(
      `${name}.qweight`,
      "I32",
      [w.inputs * w.bits / 32, w.outputs],
      transposedPack(w),
    ),
    tensor(
      `${name}.qzeros`,
      "I32",
      [count, words],
      pack(count, words, w.bits, stored),
    ),
    tensor(`${name}.scales`, "F16", [count, w.outputs], w.scales),
    tensor(`${name}.g_idx`, "I32", [w.inputs], Int32Array.from(w.groups)),
  ];
}

/** A linear as AWQ stores it: columns 0 2 4 6 1 3 5 7 of each eight, lowest nibble first. */
function awq(name: string, w: Weight): TensorToWrite[] {
  const words = w.outputs / 8, count = w.scales.length / w.outputs;
  const place = (column: number) => [0, 4, 1, 5, 2, 6, 3, 7][column];
  return [
    tensor(
      `${name}.qweight`,
      "I32",
      [w.inputs, words],
      pack(w.inputs, words, 4, w.q, place),
    ),
    tensor(
      `${name}.qzeros`,
      "I32",
      [count, words],
      pack(count, words, 4, w.zero, place),
    ),
    tensor(`${name}.scales`, "F16", [count, w.outputs], w.scales),
  ];
}

/** Reads tensors back through a file, as floats. */
function decoded(
  quantization_config: Json | undefined,
  tensors: readonly TensorToWrite[],
): Map<string, { shape: readonly number[]; values: number[] }> {
  const path = Deno.makeTempFileSync({ suffix: ".safetensors" });
  try {
    writeSafetensors(path, { metadata: {}, tensors });
    using file = openSafetensors(fileSource(path));
    const found = decodedTensors(
      file.tensors,
      schemeOf({ quantization_config }),
    );
    return new Map(
      [...found].map(([name, { tensor: { shape, read } }]) => [
        name,
        { shape, values: [...read()] },
      ]),
    );
  } finally {
    Deno.removeSync(path);
  }
}

const bias = tensor("a.bias", "F32", [2], Float32Array.of(1, 2));

Deno.test("GPTQ: 2, 4 and 8 bits, both versions, inputs in any order", () => {
  for (const bits of [2, 4, 8]) {
    for (const version of [1, 2] as const) {
      for (const shuffled of [false, true]) {
        const w = randomWeight(96, 48, bits, 32, 7 * bits + version, shuffled);
        const got = decoded({
          quant_method: "gptq",
          bits,
          group_size: 32,
          checkpoint_format: version === 2 ? "gptq_v2" : "gptq",
        }, [...gptq("a", w, version), bias]);
        assertEquals([...got.keys()].toSorted(), ["a.bias", "a.weight"]);
        assertEquals(got.get("a.weight"), {
          shape: [48, 96],
          values: floatsOf(w),
        });
      }
    }
  }
});

Deno.test("GPTQ: one group for all inputs, a last group that is smaller, no g_idx", () => {
  for (const [size, group_size] of [[64, -1], [40, 40]]) {
    const w = randomWeight(64, 16, 4, size, 3);
    const stored = gptq("a", w, 1).filter((t) => !t.name.endsWith("g_idx"));
    const got = decoded({ quant_method: "gptq", bits: 4, group_size }, stored);
    assertEquals(got.get("a.weight")!.values, floatsOf(w));
  }
});

Deno.test("AWQ: columns in its order", () => {
  for (const group_size of [16, 32, -1]) {
    const size = group_size === -1 ? 64 : group_size;
    const w = randomWeight(64, 24, 4, size, 11 + size);
    const got = decoded({
      quant_method: "awq",
      bits: 4,
      group_size,
      version: "GEMM",
      zero_point: true,
    }, [...awq("x.y", w), bias]);
    assertEquals(got.get("x.y.weight"), {
      shape: [24, 64],
      values: floatsOf(w),
    });
    assertEquals(got.get("a.bias")!.values, [1, 2]);
  }
});

Deno.test("FP8: scales of blocks, of rows, of a tensor", () => {
  const rows = 5, columns = 7, from = random(5), next = () => uniform(from);
  const codes = Uint8Array.from(
    { length: rows * columns },
    () => Math.floor(next() * 0x7f) | (next() < 0.5 ? 0x80 : 0),
  );
  const q = f8ToF32(codes);
  const weight = tensor("a.weight", "F8_E4M3", [rows, columns], codes);
  const scales = (n: number) =>
    Float32Array.from({ length: n }, () => next() * 3);
  const input = tensor("a.input_scale", "F32", [1], scales(1));
  const channels = (strategy: string) => ({
    quant_method: "compressed-tensors",
    format: "float-quantized",
    config_groups: {
      group_0: { weights: { type: "float", num_bits: 8, strategy } },
    },
  });
  for (
    const [config, name, shape, of] of [
      [
        { quant_method: "fp8", weight_block_size: [2, 3] },
        "weight_scale_inv",
        [3, 3],
        (r: number, c: number) => Math.floor(r / 2) * 3 + Math.floor(c / 3),
      ],
      [channels("channel"), "weight_scale", [rows, 1], (r: number) => r],
      [channels("tensor"), "weight_scale", [1], () => 0],
      [{ quant_method: "fp8" }, "weight_scale", [], () => 0],
      [
        { quant_method: "fbgemm_fp8" },
        "weight_scale",
        [rows],
        (r: number) => r,
      ],
    ] as const
  ) {
    const values = scales(shape.reduce<number>((a, b) => a * b, 1));
    const got = decoded(config, [
      weight,
      tensor(`a.${name}`, "F32", [...shape], values),
      input,
    ]);
    const want = Array.from(
      q,
      (x, i) => x * values[of(Math.floor(i / columns), i % columns)],
    );
    assertEquals([...got.keys()], ["a.weight"]);
    assertEquals(got.get("a.weight")!.values, want);
  }
});

Deno.test("tensors that do not fit their scheme are refused by name", () => {
  const w = randomWeight(64, 16, 4, 32, 9);
  const four = { quant_method: "gptq", bits: 4, group_size: 32 };
  const with_ = (name: string, change: (t: TensorToWrite) => TensorToWrite) =>
    gptq("a", w, 1).map((t) => t.name === `a.${name}` ? change(t) : t);
  const without = (name: string) =>
    gptq("a", w, 1).filter((t) => t.name !== `a.${name}`);
  const far = Int32Array.from(w.groups).fill(2, 5, 6);
  for (
    const [config, tensors, cause] of [
      [four, without("qzeros"), '"a.qzeros" is missing'],
      [four, without("scales"), '"a.scales" is missing'],
      [
        { ...four, group_size: 16 },
        gptq("a", w, 1),
        '"a.qzeros" must be I32 of shape [4,2]',
      ],
      [{ ...four, bits: 8 }, gptq("a", w, 1), '"a.qzeros" must be'],
      [
        four,
        with_("scales", (t) => ({ ...t, shape: [16, 2] })),
        '"a.scales" must be',
      ],
      [
        four,
        with_("g_idx", (t) => ({ ...t, data: () => far })),
        "element 5 is 2",
      ],
      [
        four,
        with_("g_idx", (t) => ({ ...t, data: () => far.map((g) => -g) })),
        "element 5 is -2",
      ],
      [{ ...four, quant_method: "awq" }, gptq("a", w, 1), '"a.qzeros" must be'],
      [
        { quant_method: "fp8" },
        [tensor("a.weight", "F8_E4M3", [1, 1], Uint8Array.of(1))],
        '"a.weight_scale" is missing',
      ],
      [
        { quant_method: "fp8", weight_block_size: [2, 2] },
        [
          tensor("a.weight", "F8_E4M3", [4, 4], new Uint8Array(16)),
          tensor("a.weight_scale_inv", "F32", [4, 1], new Float32Array(4)),
        ],
        "of shape [2,2]",
      ],
    ] as const
  ) {
    const error = assertThrows(() => decoded(config, tensors), RangeError);
    assert(error.message.includes(cause), error.message);
  }
});

Deno.test("schemes that cannot be read are named, with what to use instead", () => {
  const wise = (format: string, weights: Json) => ({
    quant_method: "compressed-tensors",
    format,
    config_groups: { group_0: { weights } },
  });
  for (
    const [config, cause] of [
      [{ quant_method: "bitsandbytes", load_in_4bit: true }, "NF4"],
      [{ load_in_8bit: true }, "no quant_method"],
      [{ quant_method: "hqq" }, "half-quadratic"],
      [{ quant_method: "secret" }, "not known"],
      [{ quant_method: "constructor" }, "not known"],
      [{ quant_method: "gptq", bits: 3 }, "3 bits"],
      [
        { quant_method: "gptq", bits: 4, checkpoint_format: "marlin" },
        "marlin",
      ],
      [{ quant_method: "awq", version: "gemv" }, "gemv"],
      [{ quant_method: "awq", zero_point: false }, "zero_point false"],
      [{ quant_method: "awq", group_size: 0 }, "group_size"],
      [{ quant_method: "fp8", weight_block_size: [128] }, "two positive"],
      [wise("pack-quantized", { type: "int", num_bits: 4 }), "pack-quantized"],
      [wise("int-quantized", { type: "int", num_bits: 8 }), "8 bits, int"],
      [wise("nvfp4-pack-quantized", { type: "float", num_bits: 4 }), "nvfp4"],
      [{ quant_method: "compressed-tensors" }, "no groups"],
    ] as [Json, string][]
  ) {
    for (
      const at of [{ quantization_config: config }, {
        text_config: { quantization_config: config },
      }]
    ) {
      const { message } = assertThrows(() => schemeOf(at), RangeError);
      assert(message.includes(cause), message);
      assert(message.includes("config.json"), message);
    }
  }
  assertEquals(schemeOf({ quantization_config: {} }), undefined);
  assertEquals(schemeOf({ quantization_config: null }), undefined);
});

Deno.test("a packed checkpoint opens as the floats that it stands for", () => {
  const toy = new URL("../golden/llama-toy/", import.meta.url).pathname;
  const folder = Deno.makeTempDirSync();
  try {
    for (const { name } of Deno.readDirSync(toy)) {
      Deno.copyFileSync(`${toy}${name}`, `${folder}/${name}`);
    }
    const config = JSON.parse(Deno.readTextFileSync(`${toy}config.json`));
    const quantization_config = {
      quant_method: "gptq",
      bits: 4,
      group_size: 24,
      desc_act: true,
    };
    const write = (name: string, json: Json) =>
      Deno.writeTextFileSync(`${folder}/${name}`, JSON.stringify(json));
    write("config.json", { ...config, quantization_config });
    const want = new Map<string, number[]>();
    const written: TensorToWrite[] = [];
    {
      using file = openCheckpoint(toy);
      for (const [name, stored] of file.tensors) {
        if (!/proj\.weight$/.test(name)) {
          const values = stored.read() as Float32Array<ArrayBuffer>;
          written.push(tensor(name, "F32", [...stored.shape], values));
          continue;
        }
        const [outputs, inputs] = stored.shape;
        const w = randomWeight(inputs, outputs, 4, 24, want.size, true);
        want.set(name, floatsOf(w));
        written.push(...gptq(name.replace(/\.weight$/, ""), w, 1));
      }
    }
    const save = (tensors: TensorToWrite[]) =>
      writeSafetensors(`${folder}/model.safetensors`, {
        metadata: {},
        tensors,
      });
    save(written);
    {
      using checkpoint = openFloatCheckpoint(folder);
      const { params } = checkpoint.model;
      assertEquals(want.size, 14);
      assertEquals(
        [...params.get("text.1.down.weight")!.read()],
        want.get("model.layers.1.mlp.down_proj.weight"),
      );
      checkpoint.checkWeights();
    }
    // A scale that is no number is found before any work, by its name.
    const scales = written.find((t) =>
      t.name.endsWith("1.mlp.up_proj.scales")
    )!;
    (scales.data() as Uint16Array)[3] = 0x7e00;
    save(written);
    using checkpoint = openFloatCheckpoint(folder);
    assertThrows(
      () => checkpoint.checkWeights(),
      RangeError,
      "up_proj.scales",
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
