/**
 * Prompts about photos in a folder, for calibration and evaluation: sorted by
 * name, so the same folder gives the same prompts.
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join } from "@std/path";
import { isFolder } from "../format/stat.ts";
import type { Prompt } from "../graph/generate.ts";
import { gridOf } from "../graph/grid.ts";
import { type ImageInfo, imageInfoOf } from "../graph/info.ts";
import { windowsOf } from "../evaluate/perplexity.ts";
import { decode } from "../image/decode.ts";
import { type Image, ImageError } from "../image/image.ts";
import { type ImagePlan, oneTile, withinPixels } from "../image/plan.ts";
import { readFile } from "../image/read.ts";
import { preprocess, towerTile } from "../image/preprocess.ts";
import { readImagePlan } from "../image/processors.ts";
import type { FloatCheckpoint } from "./checkpoint.ts";

const PHOTO = /\.(jpe?g|png|webp)$/i;

/**
 * Paths of the photos in `folder`/images if it exists, else in `folder`; sorted
 * by name.
 */
export function photosIn(folder: string): string[] {
  const images = join(folder, "images");
  const place = isFolder(images) ? images : folder;
  if (!isFolder(place)) {
    throw new RangeError(
      `Cannot read photos of ${
        JSON.stringify(folder)
      }: there is no such folder; check the path`,
    );
  }
  const names = [...Deno.readDirSync(place)]
    .filter((e) => e.isFile && PHOTO.test(e.name)) // links are not followed
    .map((e) => e.name).sort();
  if (names.length > 0) return names.map((name) => join(place, name));
  throw new RangeError(
    `Cannot read photos of ${
      JSON.stringify(folder)
    }: there is no JPEG, PNG or WebP in it; put the photos there, or in images/`,
  );
}

/**
 * Builds the calibration prompts.
 * @returns one prompt per photo, with the questions in rotation; the photos' tiles;
 * a hash of the photos' bytes
 */
export async function readPrompts(
  { model, assets, promptIds }: FloatCheckpoint,
  photos: readonly string[],
  questions: readonly string[],
  step: (done: number) => void = () => {},
): Promise<{ prompts: Prompt[]; tiles: Image[]; sha256: string }> {
  const want = imageInfoOf(model.info);
  const plan = withinPixels(
    oneTile(readImagePlan(
      new TextDecoder().decode(assets["preprocessor_config.json"]),
    )),
    want.height * want.width,
  );
  const hash = createHash("sha256");
  const prompts: Prompt[] = [], tiles: Image[] = [];
  for (const path of photos) {
    const bytes = await readFile(path), name = basename(path);
    hash.update(bytes);
    const tile = await tileOf(bytes, name, plan, want);
    const grid = gridOf(want, tile);
    const question = questions[prompts.length % questions.length];
    tiles.push(tile);
    prompts.push({
      patches: patchesOf(tile, want.patchSize, plan),
      grids: [grid],
      ids: promptIds(question, grid),
    });
    step(prompts.length);
  }
  return { prompts, tiles, sha256: hash.digest("hex") };
}

/** The tile of a photo at the size of the vision tower. */
async function tileOf(
  bytes: Uint8Array,
  name: string,
  plan: ImagePlan,
  want: ImageInfo,
): Promise<Image> {
  const image = await decode(bytes, { name });
  const [made] = named(name, () => preprocess(image, plan).tiles);
  const tile = towerTile(made, want);
  if (tile) return tile;
  throw new RangeError(
    `Cannot read photo ${
      JSON.stringify(name)
    }: preprocessor_config.json makes a tile of ${made.width}×${made.height}, the model takes one of ${want.width}×${want.height}; set do_image_splitting to false and size to that`,
  );
}

/** Runs `work`; an `ImageError` gets the name of the photo. */
function named<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    if (error.message.startsWith("Cannot ")) throw error;
    throw new ImageError(error.code, error.message, name);
  }
}

/** A tile as normalised patches, one row each, in (c, y, x) order. */
export function patchesOf(
  { width, height, data }: Image,
  patch: number,
  { rescale, mean, std }: Pick<ImagePlan, "rescale" | "mean" | "std">,
): Float32Array {
  const values = mean.map((m, c) =>
    Float32Array.from({ length: 256 }, (_, v) => (v * rescale - m) / std[c])
  );
  const out = new Float32Array(width * height * 3);
  let at = 0;
  for (let py = 0; py < height; py += patch) {
    for (let px = 0; px < width; px += patch) {
      for (let c = 0; c < 3; c++) {
        for (let y = py; y < py + patch; y++) {
          for (let x = px; x < px + patch; x++) {
            out[at++] = values[c][data[(y * width + x) * 3 + c]];
          }
        }
      }
    }
  }
  return out;
}

/** Tokens of a window of a calibration text. */
const WINDOW = 256;

/**
 * The first windows of a text as prompts without answers, at most `count`, and
 * a hash of the text.
 * @throws {RangeError} if the path is not a file, or the text is too short
 */
export function readWindows(
  { tokenizer }: Pick<FloatCheckpoint, "tokenizer">,
  path: string,
  count: number,
): { prompts: Prompt[]; sha256: string } {
  if (isFolder(path)) {
    throw new RangeError(
      `Cannot calibrate with ${
        JSON.stringify(path)
      }: the model is text-only; give a text file similar to its later input`,
    );
  }
  const bytes = Deno.readFileSync(path);
  const ids = tokenizer.encode(new TextDecoder().decode(bytes), {
    special: false,
  });
  const windows = Math.min(count, Math.floor(ids.length / WINDOW));
  if (windows === 0) {
    throw new RangeError(
      `Cannot calibrate with ${
        JSON.stringify(path)
      }: it must have at least ${WINDOW} tokens: it has ${ids.length}; give a longer text`,
    );
  }
  return {
    prompts: windowsOf(ids, WINDOW, windows).map((ids) => ({ ids })),
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}
