/**
 * A checkpoint with random weights from any folder of side files: the real
 * tokenizer, template and settings, and tensors of the real names and shapes, so
 * that everything but the answers is as with the real weights. Names and shapes
 * follow from config.json by the family's description; where there is an index,
 * its names must be the same.
 *
 *     deno run --allow-read --allow-write tools/real/checkpoint.ts SIDE_FILES OUT_DIR [--layers N] [--seed 1]
 *
 * @module
 */
import { join } from "@std/path";
import { parseArgs } from "node:util";
import { INDEX } from "../../src/format/checkpoint.ts";
import { writeSafetensors } from "../../src/format/write.ts";
import { folderFiles, readJson } from "../../src/convert/side_files.ts";
import { type Source, withoutValues } from "../../src/models/checkpoint.ts";
import { describe } from "../../src/models/mod.ts";
import { seedOf } from "../../src/tensor/random.ts";
import { sizeOf } from "../../src/tensor/tensor.ts";
import { numbers } from "../random_checkpoint.ts";

type Json = Record<string, unknown>;
type Shape = readonly number[];

/** Fields that count layers, on any level of a config.json. */
const LAYERS =
  /^(num_hidden_layers|depth|layers|num_layers|lm_n_blocks|vit_n_blocks|n_layers|enc_n_layers)$/;

/** Lists with an entry for each layer, and lists of numbers of layers. */
const PER_LAYER = /^(layer_types|max_window_layers)$/;
const NUMBERS =
  /^(full_attn_idxs|fullatt_block_indexes|deepstack_visual_indexes)$/;

/** A config.json with at most so many layers in each tower. */
export function shallow(config: Json, layers: number): Json {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      if (LAYERS.test(key) && typeof value === "number") {
        return [key, Math.min(value, layers)];
      }
      if (Array.isArray(value)) {
        if (PER_LAYER.test(key)) return [key, value.slice(0, layers)];
        if (!NUMBERS.test(key)) return [key, value];
        const kept = value.filter((i) => i < layers);
        return [key, kept.length > 0 ? kept : [layers - 1]];
      }
      return typeof value === "object" && value !== null
        ? [key, shallow(value as Json, layers)]
        : [key, value];
    }),
  );
}

/** A parameter, and what it is made of. */
interface Use {
  readonly param: string;
  readonly shape: Shape;
  readonly source: Exclude<Source, string>;
}

/** Names and shapes of the tensors that a config.json asks for. */
export function shapesOf(config: Json): Map<string, Shape> {
  const uses: Use[] = [];
  const { info } = describe({
    config,
    tensors: new Map(),
    idOf: () => 0,
    textOf: () => "<image>",
    outline: {
      onSource: (param, shape, source) => uses.push({ param, shape, source }),
    },
  });
  const shared = new Map<string, Use[]>();
  for (const use of uses) {
    const key = use.source.from.join();
    shared.set(key, [...shared.get(key) ?? [], use]);
  }
  const shapes = new Map<string, Shape>();
  for (const [key, some] of shared) {
    const { from } = some[0].source;
    const found = candidates(some, info.image?.patchSize ?? 1)
      .find((shapes) => some.every((use) => fits(use, shapes)));
    if (!found) {
      throw new RangeError(
        `Cannot build ${key}: its shape does not follow from the parameter's [${
          some[0].shape
        }]; add it to candidates() in tools/real/checkpoint.ts`,
      );
    }
    from.forEach((name, i) => shapes.set(name, found[i]));
  }
  return shapes;
}

/** Shapes that the sources of parameters may have, the likeliest first. */
function candidates(uses: readonly Use[], patch: number): Shape[][] {
  const [{ param, shape, source }] = uses, [n, ...rest] = shape;
  if (source.from.length > 1) { // a table and a row in front of it
    return [[[1, n, ...rest], [1, 1, ...rest]], [shape, [1, ...rest]], [
      [n - 1, ...rest],
      [1, ...rest],
    ]];
  }
  if (
    uses.length > 1 && uses.every((u) => u.shape !== shape || u === uses[0])
  ) {
    const rows = uses.reduce((sum, u) => sum + u.shape[0], 0);
    return [[[rows, ...rest]], [shape], [[1, n, ...rest]]];
  }
  const square = [n, 3, patch, patch], wide = [n, 3, 2, patch, patch];
  const pixels = param === "vision.patch.weight";
  return [
    ...(pixels ? [[wide], [square]] : []),
    [shape],
    [[...shape].reverse()],
    [[1, ...shape]],
    [[n, 2 * rest[0]]], // the whole picture and its crops, side by side
    ...(rest.length === 1 ? [[[rest[0], 1, n]], [[n, 1, rest[0]]]] : []),
  ];
}

function fits({ shape, source }: Use, given: readonly Shape[]): boolean {
  try {
    const made = source.make(...given.map((s) => withoutValues("", s)));
    return sizeOf(made.shape) === sizeOf(shape) && made.shape[0] === shape[0];
  } catch {
    return false;
  }
}

/** Writes the checkpoint: side files as they are, config.json with fewer layers, float16 weights. */
export function realFolder(
  from: string,
  out: string,
  { layers = Infinity, seed = 1 } = {},
): void {
  const whole = readJson(folderFiles(from), "config.json");
  const config = layers === Infinity ? whole : shallow(whole, layers);
  const shapes = shapesOf(config);
  Deno.mkdirSync(out, { recursive: true });
  for (const { name, isFile } of Deno.readDirSync(from)) {
    const weights = name === INDEX || name.endsWith(".safetensors");
    if (isFile && !weights) {
      Deno.copyFileSync(join(from, name), join(out, name));
    }
  }
  Deno.writeTextFileSync(
    join(out, "config.json"),
    JSON.stringify(config, null, 1),
  );
  writeSafetensors(join(out, "model.safetensors"), {
    metadata: { format: "pt" },
    tensors: [...shapes].map(([name, shape]) => ({
      name,
      dtype: "F16",
      shape,
      data() {
        const gain = shape.length === 1 && name.endsWith("weight");
        const std = shape.length > 1
          ? (sizeOf(shape) / shape[0]) ** -0.5
          : 0.02;
        return numbers(seedOf(seed, name), sizeOf(shape), std, gain ? 1 : 0);
      },
    })),
  });
}

if (import.meta.main) {
  const { values, positionals: [from, out] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      layers: { type: "string", default: "Infinity" },
      seed: { type: "string", default: "1" },
    },
  });
  if (out === undefined) {
    console.error("usage: checkpoint.ts SIDE_FILES OUT_DIR [--layers N]");
    Deno.exit(2);
  }
  realFolder(from, out, {
    layers: Number(values.layers),
    seed: Number(values.seed),
  });
}
