/**
 * All parsers as fuzz targets, with small valid inputs of every kind: small inputs are
 * fast.
 * @module
 */
import { readIndex } from "../../src/format/checkpoint.ts";
import { openModelFile } from "../../src/format/model_file.ts";
import { openSafetensors } from "../../src/format/safetensors.ts";
import { bytesSource } from "../../src/format/source.ts";
import {
  parseSettings,
  StrictJsonError,
} from "../../src/format/strict_json.ts";
import { decode as decodeImage } from "../../src/image/decode.ts";
import { exifOrientation } from "../../src/image/exif.ts";
import { IMAGE_LIMITS, ImageError } from "../../src/image/image.ts";
import { readJpegHeader } from "../../src/image/jpeg.ts";
import { readPng } from "../../src/image/png.ts";
import { readImagePlan } from "../../src/image/processors.ts";
import { readWebpHeader } from "../../src/image/webp.ts";
import { describe } from "../../src/models/mod.ts";
import { checkGraph } from "../../src/graph/check.ts";
import { tensorsOf } from "../../src/graph/tensors.ts";
import { readBits, readInfo, readNodes } from "../../src/graph/read.ts";
import { readStaticModel } from "../../src/graph/static_model.ts";
import { start } from "../../src/constrain/grammar.ts";
import { rulesOf } from "../../src/constrain/json_schema.ts";
import { parseJson } from "../../src/server/body.ts";
import { LIMITS } from "../../src/server/mod.ts";
import { parseRequest } from "../../src/server/request.ts";
import { chat } from "../../src/tokenizer/chat.ts";
import { readRanks } from "../../src/tokenizer/tiktoken.ts";
import { tokenizerJsonOf } from "../../src/tokenizer/side_files.ts";
import { readTokenizer } from "../../src/tokenizer/tokenizer.ts";
import pieces from "../golden/sentencepiece.json" with { type: "json" };
import { toyTokenizerJson } from "../toy_tokenizer.ts";
import golden from "../../src/image/decode_golden.json" with { type: "json" };
import { unsealed } from "../damage/unsealed.ts";
import { BITS, GRAPH, INFO, smallModel } from "../small_graph.ts";
import { toyCheckpoint } from "../toy.ts";
import { mutatePicture } from "./chunks.ts";
import { type Bytes, type Draw, mutateBytes, mutateJson } from "./mutate.ts";
import { joined } from "./mutate.ts";
import type { Target } from "./target.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Damages JSON along its values, now and then any of its bytes. */
function mutateText(draw: Draw, seed: Uint8Array): Bytes {
  if (draw(6) === 0) return mutateBytes(draw, seed);
  return encode(mutateJson(draw, decode(seed)));
}

/** Damages the JSON header of a safetensors file and corrects its length, or any bytes. */
function mutateHeader(draw: Draw, seed: Uint8Array): Bytes {
  if (draw(4) === 0) return mutateBytes(draw, seed);
  const end = 8 + new DataView(seed.buffer, seed.byteOffset).getUint32(0, true);
  const json = encode(mutateJson(draw, decode(seed.subarray(8, end))));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  const data = seed.subarray(end, seed.length - (draw(8) === 0 ? 1 : 0));
  return joined(length, json, data);
}

function safetensorsSeed(header: object, data: number): Uint8Array {
  const json = encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  bytes.set(json, 8);
  return bytes;
}

const safetensors: Target = {
  name: "safetensors",
  seeds: [
    safetensorsSeed({
      __metadata__: { format: "pt" },
      a: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] },
      b: { dtype: "U8", shape: [3], data_offsets: [16, 19] },
    }, 19),
    safetensorsSeed({
      x: { dtype: "I64", shape: [], data_offsets: [0, 8] },
      y: { dtype: "BF16", shape: [2, 0], data_offsets: [8, 8] },
      z: { dtype: "BOOL", shape: [1], data_offsets: [8, 9] },
    }, 9),
  ],
  mutate: mutateHeader,
  read(bytes) {
    const file = openSafetensors(bytesSource(bytes, "x"));
    for (const tensor of file.tensors.values()) tensor.read();
  },
  errors: ["FormatError"],
};

const index: Target = {
  name: "index",
  seeds: [encode(JSON.stringify({
    metadata: { total_size: 12 },
    weight_map: {
      a: "model-00001-of-00002.safetensors",
      b: "model-00002-of-00002.safetensors",
    },
  }))],
  mutate: mutateText,
  read: (bytes) => readIndex(bytesSource(bytes, "x")),
  errors: ["FormatError"],
};

const model: Target = {
  name: "model",
  seeds: [unsealed(smallModel({ hello: encode("hello") }))],
  mutate: mutateHeader,
  read(bytes) {
    const file = openModelFile(bytesSource(bytes, "x"));
    for (const name of file.assets) file.assetText(name);
    const model = readStaticModel(file);
    for (const [name, { dtype }] of file.tensors) {
      if (dtype === "F32") model.floats(name);
    }
  },
  errors: ["FormatError", "RuntimeError"],
};

/** Graph, info and bits, a line each. */
const graph: Target = {
  name: "graph",
  seeds: [encode([GRAPH, INFO, BITS].map((x) => JSON.stringify(x)).join("\n"))],
  mutate: mutateText,
  read(bytes) {
    const [nodes, info, bits] = decode(bytes).split("\n");
    const list = readNodes(nodes), about = readInfo(info ?? "");
    checkGraph(list, about);
    tensorsOf(list, about, readBits(bits ?? ""));
  },
  errors: ["RuntimeError"],
};

/** Small files of SentencePiece: BPE, and unigram with a table of characters. */
const PIECES = [pieces.kinds[1], pieces.kinds[5]].map(({ model }) =>
  Uint8Array.fromBase64(model)
);

const jsonOfPieces = (model: Uint8Array) =>
  tokenizerJsonOf((name) => name === "tokenizer.model" ? model : undefined)!;

function useTokenizer(json: string) {
  const made = readTokenizer(json), text = "the dog's 12 <image> \u00e9 \ufb01";
  made.decode(made.encode(text, { special: true }));
}

const tokenizer: Target = {
  name: "tokenizer",
  seeds: [toyTokenizerJson(), ...PIECES.map(jsonOfPieces)].map(encode),
  mutate: mutateText,
  read: (bytes) => useTokenizer(decode(bytes)),
  errors: ["TokenizerError"],
};

const pieceModel: Target = {
  name: "tokenizer_model",
  seeds: PIECES,
  mutate: mutateBytes,
  read: (bytes) => useTokenizer(jsonOfPieces(bytes)),
  errors: ["TokenizerError"],
};

const ranks: Target = {
  name: "ranks",
  seeds: [encode("IQ== 0\nIg== 1\n4pyT 2\nICBh 3\n")],
  mutate: mutateBytes,
  read: (bytes) => readRanks(decode(bytes)),
  errors: ["TokenizerError"],
};

/** A schema that an answer must keep, and its grammar at work on some text. */
const schema: Target = {
  name: "schema",
  seeds: [
    {
      type: "object",
      properties: {
        alt: { type: "string", minLength: 1, maxLength: 20 },
        people: { type: "integer", minimum: 0, maximum: 12 },
        tags: { type: "array", items: { enum: ["a", "b"] }, maxItems: 3 },
        more: { anyOf: [{ type: "null" }, { $ref: "#/$defs/size" }] },
      },
      required: ["alt", "people"],
      additionalProperties: false,
      $defs: { size: { type: "array", items: { $ref: "#/$defs/size" } } },
    },
    { type: ["number", "boolean"] },
    { allOf: [{ const: { x: [1, null, true] } }] },
  ].map((json) => encode(JSON.stringify(json))),
  mutate: mutateText,
  read: (bytes) => start(rulesOf(parseObject(bytes))),
  errors: ["RuntimeError", "RangeError"],
};

const { tensors, config: toyConfig } = toyCheckpoint();
const config: Target = {
  name: "config",
  seeds: [encode(JSON.stringify(toyConfig))],
  mutate: mutateText,
  read: (bytes) => describe({ config: parseObject(bytes), tensors }),
  errors: ["RangeError"],
};

/** A settings file as `openFloatCheckpoint` hands it on. */
function parseObject(bytes: Uint8Array): Record<string, unknown> {
  try {
    return parseSettings(decode(bytes));
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    throw new RangeError(`Cannot read it: it ${error.message}`);
  }
}

const processor: Target = {
  name: "processor",
  seeds: [
    {
      do_resize: true,
      size: { height: 16, width: 16 },
      resample: 2,
      rescale_factor: 1 / 255,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
    },
    {
      do_image_splitting: true,
      size: { longest_edge: 64 },
      max_image_size: { longest_edge: 32 },
      resample: 1,
      image_mean: [0, 0, 0],
      image_std: [1, 1, 1],
    },
    {
      image_processor_type: "GotOcr2ImageProcessor",
      size: { height: 32, width: 32 },
      min_patches: 1,
      max_patches: 6,
      resample: 3,
      do_normalize: false,
    },
  ].map((json) => encode(JSON.stringify(json))),
  mutate: mutateText,
  read: (bytes) => readImagePlan(decode(bytes)),
  errors: ["ImageError"],
};

const toyTokenizer = readTokenizer(toyTokenizerJson());
const template: Target = {
  name: "template",
  seeds: [
    "{% for m in messages %}{{ m.role }}:{% for c in m.content %}{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}<end>{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}",
    "{%- set n = namespace(i=0) -%}{% macro say(m) %}{{ m['content'] | selectattr('type', 'equalto', 'text') | map(attribute='text') | join(' ') | trim }}{% endmacro %}{% for m in messages if m.role != 'x' %}{% set n.i = n.i + 1 %}{{ '<image>' if loop.first else range(3) | list | tojson }}{{ say(m) ~ n.i }}{% endfor %}",
  ].map(encode),
  mutate: mutateBytes,
  read: (bytes) =>
    chat(
      toyTokenizer,
      [
        { role: "system", content: [{ type: "text", text: "be short" }] },
        {
          role: "user",
          content: [{ type: "image" }, { type: "text", text: "what is it?" }],
        },
      ],
      {
        template: decode(bytes),
        image: { token: "<image>", tokens: () => "<image><image>" },
        variables: { bos_token: "<s>" },
      },
    ),
  errors: ["TokenizerError"],
};

/** Pictures of `kind`, made by Pillow. */
function pictures(kind: string): Uint8Array[] {
  return golden.good.filter(({ what }) => what.startsWith(kind))
    .map(({ file }) => Uint8Array.fromBase64(file));
}

/** The header of a picture; room-internal errors get their first words as `decode` gives them. */
function header(name: string, read: (bytes: Uint8Array) => unknown): Target {
  return {
    name,
    seeds: pictures(name),
    mutate: mutatePicture,
    read(bytes) {
      try {
        read(bytes);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        throw new ImageError(error.code, error.message, "x");
      }
    },
    errors: ["ImageError"],
  };
}

const exif: Target = {
  name: "exif",
  seeds: [exifSeed(true), exifSeed(false)],
  mutate: mutateBytes,
  read(bytes) {
    const orientation = exifOrientation(bytes);
    if (!(orientation >= 1 && orientation <= 8)) throw orientation;
  },
  errors: [],
};

/** An Exif block of one entry: orientation 6. */
function exifSeed(little: boolean): Uint8Array {
  const bytes = new Uint8Array(26), view = new DataView(bytes.buffer);
  view.setUint16(0, little ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  view.setUint16(8, 1, little);
  view.setUint16(10, 0x0112, little);
  view.setUint16(12, 3, little);
  view.setUint32(14, 1, little);
  view.setUint16(18, 6, little);
  return bytes;
}

const request: Target = {
  name: "request",
  seeds: [
    {
      model: "m",
      messages: [
        { role: "system", content: "be short" },
        {
          role: "user",
          content: [
            { type: "text", text: "what is it?" },
            {
              type: "image_url",
              image_url: { url: "data:image/png;base64,iVBORw0KGgo=" },
            },
          ],
        },
      ],
      temperature: 0.5,
      top_p: 0.9,
      top_k: 5,
      seed: 7,
      stop: ["x", "y"],
      max_tokens: 5,
      stream: true,
      stream_options: { include_usage: true },
    },
    {
      messages: [{ role: "user", content: "hi" }],
      n: 1,
      response_format: {
        type: "json_schema",
        json_schema: { name: "x", schema: { type: "string", maxLength: 9 } },
      },
      logprobs: true,
      top_logprobs: 3,
      tools: [],
      logit_bias: {},
      max_completion_tokens: 9,
      user: "u",
    },
  ].map((json) => encode(JSON.stringify(json))),
  mutate: mutateText,
  read: (bytes) =>
    parseRequest(parseJson(bytes, LIMITS), { model: "m", limits: LIMITS }),
  errors: ["ApiError"],
};

const GOOD = pictures("jpeg 4:2:0")[0];
let good: Promise<string> | undefined;

/** Whole pictures of `kind`: after each refusal a good one must have its pixels still. */
function pixels(kind: string): Target {
  const goodPixels = async () =>
    (await decodeImage(GOOD, { limits })).data.toBase64();
  return {
    name: `${kind} pixels`,
    seeds: pictures(kind),
    mutate: mutatePicture,
    async read(bytes) {
      good ??= goodPixels();
      try {
        await decodeImage(bytes, { limits });
      } catch (error) {
        if (await good !== await goodPixels()) {
          throw new Error("it spoils good pictures");
        }
        throw error;
      }
    },
    errors: ["ImageError"],
    rarity: 500,
    mostMs: 2000,
  };
}
const limits = { pixels: 1_000_000 }; // a tiny file may claim so many: they are decoded

/** All of them. */
export const TARGETS: readonly Target[] = [
  safetensors,
  index,
  model,
  graph,
  tokenizer,
  pieceModel,
  ranks,
  schema,
  config,
  processor,
  template,
  header("png", (bytes) => readPng(bytes, IMAGE_LIMITS)),
  header("jpeg", readJpegHeader),
  header("webp", readWebpHeader),
  exif,
  request,
  pixels("png"),
  pixels("jpeg"),
  pixels("webp"),
];
