/**
 * Toy checkpoints of model families with golden values of transformers (tools/golden),
 * and functions that run them here.
 * @module
 */
import { createHash } from "node:crypto";
import {
  type FloatCheckpoint,
  openFloatCheckpoint,
} from "../../src/convert/checkpoint.ts";
import { patchesOf } from "../../src/convert/calibration.ts";
import { formulaImageOf } from "../formula_image.ts";
import type { Floats } from "../../src/graph/executor.ts";
import { type Grid, gridOf } from "../../src/graph/grid.ts";
import type { Hooks } from "../../src/graph/ops/mod.ts";
import { type Loaded, runVision } from "../../src/graph/run.ts";
import type { Image } from "../../src/image/image.ts";
import {
  atMostTiles,
  type ImagePlan,
  withinPixels,
} from "../../src/image/plan.ts";
import { preprocess, type Tiles } from "../../src/image/preprocess.ts";
import { readImagePlan } from "../../src/image/processors.ts";
import { imageInfoOf } from "../../src/graph/info.ts";
import { imageText } from "../../src/graph/image_text.ts";
import { chat, type ChatPart } from "../../src/tokenizer/chat.ts";

/** Families with a toy, by folder. */
export const FAMILIES = [
  "cogvlm2-toy",
  "fastvlm-toy",
  "gemma3-toy",
  "glm4v-toy",
  "internvl-toy",
  "internvl2-toy",
  "internvl35-toy",
  "internvl6b-toy",
  "lfm2vl-toy",
  "llava-toy",
  "llavaonevision-toy",
  "minicpmv-toy",
  "minicpmv4-toy",
  "moondream-toy",
  "nanovlm-toy",
  "qwen25vl-toy",
  "qwen2vl-toy",
  "qwen3vl-toy",
  "qwenvl-toy",
  "smolvlm-tiles-toy",
  "llama-toy",
  "qwen2-toy",
  "qwen3-toy",
] as const;

/** Moments and both ends of activations. */
export interface Summary {
  readonly shape: readonly number[];
  readonly mean: number;
  readonly std: number;
  readonly first8: readonly number[];
  readonly last8: readonly number[];
}

/** One prompt and what came of it. */
export interface Item {
  readonly name: string;
  readonly parts: readonly string[];
  readonly input_ids: readonly number[];
  /** Most tiles of a picture; 1 where absent. */
  readonly max_tiles?: number;
  readonly pixels_sha256?: readonly string[];
  readonly vision?: Summary;
  readonly connector?: Summary;
  readonly steps: readonly {
    readonly ids: readonly number[];
    readonly logits: readonly number[];
  }[];
}

/** An open toy. */
export interface Family extends Disposable {
  readonly name: string;
  readonly files: FloatCheckpoint;
  /** Undefined where the family takes no pictures. */
  readonly plan: ImagePlan | undefined;
  readonly items: readonly Item[];
  /** Texts with the ids of the original's tokenizer, where it is not a tokenizer.json. */
  readonly words: readonly { readonly text: string; readonly ids: number[] }[];
  /** The item with the longest prompt, which has the most images where the family takes any; or pictures of two shapes, where they keep theirs. */
  readonly longest: Item;
}

/** Opens a toy. */
export function openFamily(name: string): Family {
  const folder = new URL(`./${name}/`, import.meta.url);
  const files = openFloatCheckpoint(folder.pathname);
  const { items, words = [] } = JSON.parse(
    Deno.readTextFileSync(new URL("golden.json", folder)),
  );
  const { image } = files.model.info;
  const plan = image && withinPixels(
    readImagePlan(JSON.stringify(files.processor)),
    image.height * image.width,
  );
  return {
    name,
    files,
    plan,
    items,
    words,
    longest: items.find((i: Item) => i.name === "two shapes") ??
      items.reduce((a: Item, b: Item) =>
        a.input_ids.length < b.input_ids.length ? b : a
      ),
    [Symbol.dispose]: () => files[Symbol.dispose](),
  };
}

/** The item's prompt as token ids. */
export function idsOf(family: Family, item: Item): number[] {
  const { tokenizer, format, model } = family.files;
  const content = item.parts.map((p): ChatPart =>
    p.startsWith("formula:") ? { type: "image" } : { type: "text", text: p }
  );
  const tiles = tilesOf(family, item);
  const tokens = (i: number) =>
    imageText(model.info, {
      ...tiles[i],
      grids: gridsOf(family, tiles[i].tiles),
    }, i);
  return chat(tokenizer, [{ role: "user", content }], {
    ...format,
    ...(format.image ? { image: { ...format.image, tokens } } : {}),
  }).ids;
}

function tilesOf({ plan }: Family, item: Item): Tiles[] {
  if (!plan) return [];
  const most = atMostTiles(plan, item.max_tiles ?? 1);
  return item.parts.filter((p) => p.startsWith("formula:"))
    .map((p) => preprocess(formulaImageOf(p), most));
}

/** All tiles of the item's pictures. */
export function pixelsOf(family: Family, item: Item): Image[] {
  return tilesOf(family, item).flatMap((t) => t.tiles);
}

/** Their grids of patches. */
export function gridsOf({ files }: Family, tiles: readonly Image[]): Grid[] {
  return tiles.map((tile) => gridOf(imageInfoOf(files.model.info), tile));
}

/** What the tower makes of tiles, as a chunk of the text phase takes it. */
export function look(
  family: Family,
  loaded: Loaded,
  tiles: readonly Image[],
  hooks: Hooks = {},
): { image: Floats; grids: Grid[] } | Record<never, never> {
  if (tiles.length === 0) return {};
  const grids = gridsOf(family, tiles), given = patches(family, tiles);
  const pixels = loaded.executor.zeros(given.length);
  pixels.set(given);
  return { image: runVision(loaded, pixels, hooks, grids), grids };
}

/** Hex hash of bytes. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Normalised patches of all pictures, one after the other. */
export function patches(
  { files, plan }: Family,
  tiles: readonly Image[],
): Float32Array {
  if (tiles.length === 0) return new Float32Array(0);
  const { patchSize: patch } = imageInfoOf(files.model.info);
  const each = tiles.map((tile) => patchesOf(tile, patch, plan!));
  const all = new Float32Array(each.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of each) all.set(p, at), at += p.length;
  return all;
}

/** Largest difference from a summary, as a share of its spread. */
export function off(values: ArrayLike<number>, want: Summary): number {
  const n = values.length;
  if (n !== want.shape[0] * want.shape[1]) return Infinity;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += values[i] / n;
  const pairs = [
    [mean, want.mean],
    ...want.first8.map((v, i) => [values[i], v]),
    ...want.last8.map((v, i) => [values[n - 8 + i], v]),
  ];
  return Math.max(...pairs.map(([a, b]) => Math.abs(a - b))) / want.std;
}
