/**
 * Model facts beside the graph: the entry `info` of a model file. All of them come
 * from the checkpoint's files.
 * @module
 */
import type { StrictJson } from "../format/strict_json.ts";
import * as f from "./field.ts";
import { fail, type Field, type ObjectOf, readFields } from "./field.ts";

/** Prompt texts of a tiled image. */
export const TILE_FIELDS = {
  begin: f.longText("before the tiles"),
  tile: f.longText("one tile; {row} and {col} count from 1"),
  rowEnd: f.longText("after each row of tiles"),
  rowGap: f.optional(f.longText("between rows")),
  end: f.longText("after the tiles"),
};

/** Fields of `ImageInfo`. */
export const IMAGE_FIELDS = {
  height: f.size("pixels, a multiple of patchSize, at most 4096"),
  width: f.size("pixels, a multiple of patchSize, at most 4096"),
  patchSize: f.size("side of a patch in pixels"),
  nativeResolution: f.optional(
    f.yes(
      "images keep their aspect ratio: whole tokens, by default at most height × width pixels",
    ),
  ),
  maxPatches: f.optional(
    f.size("most patches of an image; default from height × width"),
  ),
  tokens: f.size("rows of the text stream that one image becomes"),
  fixedTokens: f.optional(
    f.yes("the number of tokens does not depend on the image size"),
  ),
  tokenId: f.tokenId("placeholder token of one image row"),
  templateToken: f.optional(
    f.longText(
      "placeholder of an image in the chat template; default: its token",
    ),
  ),
  tokenText: f.optional(
    f.longText("replaces {tokens} in the texts, once per token"),
  ),
  text: f.longText(
    "text of an image in a prompt, with nativeResolution once per token; {image} is its number from 0, {picture} from 1",
  ),
  sharedPosition: f.optional(
    f.yes(
      "all tokens of an image share one position id; otherwise each has its row and column",
    ),
  ),
  bidirectional: f.optional(
    f.yes("the tokens of an image attend to each other, not causally"),
  ),
  leadingTokens: f.optional(
    f.size(
      "with sharedPosition: number of first tokens that have their own position ids",
    ),
  ),
  tiles: f.optional<Field<ObjectOf<typeof TILE_FIELDS>>>({
    wish: "{begin, tile, rowEnd, rowGap?, end}, texts of at most 1 MB",
    about:
      "texts of a tiled image in a prompt; the thumbnail is in begin or in end",
    read: (v) =>
      v instanceof Map
        ? readFields("info", "info: image: tiles", v, TILE_FIELDS)
        : undefined,
  }),
};

/** Images of a model: size in pixels, tokens, prompt texts. */
export type ImageInfo = ObjectOf<typeof IMAGE_FIELDS>;

/** Fields of `ModelInfo`. */
export const INFO_FIELDS = {
  architecture: f.name("name of the architecture; informative"),
  vocabulary: f.size("tokens; rows of the embedding and of the head"),
  maxPositions: f.size("longest sequence that the position embedding allows"),
  stopIds: f.list(
    "a list of at most 64 token ids",
    (n) => n <= 64,
    f.tokenId(""),
  )("tokens that end an answer"),
  prefix: f.optional(
    f.list(
      "a list of 1 to 64 token ids",
      (n) => n >= 1 && n <= 64,
      f.tokenId(""),
    )("prefix (attention-sink) tokens at the start of every sequence"),
  ),
  image: f.optional<Field<ImageInfo>>({
    wish: "an object",
    about: "images of the model; absent for a text-only model",
    read: (v) => v instanceof Map ? readImage(v) : undefined,
  }),
};

/** Model facts beside the graph: vocabulary, positions, stop tokens, images. */
export type ModelInfo = ObjectOf<typeof INFO_FIELDS>;

/**
 * Images of a model.
 * @throws {RangeError} where it is text-only
 */
export function imageInfoOf({ image, architecture }: ModelInfo): ImageInfo {
  if (image) return image;
  throw new RangeError(
    `Cannot read the image: the model (${architecture}) is text-only`,
  );
}

function readImage(json: ReadonlyMap<string, StrictJson>): ImageInfo {
  const image = readFields("info", "info: image", json, IMAGE_FIELDS);
  const { height, width, patchSize } = image;
  if (
    height > 4096 || width > 4096 || height % patchSize || width % patchSize
  ) {
    fail(
      "info",
      `info: image: height and width must be multiples of patchSize ${patchSize}, at most 4096: current values are ${height} and ${width}`,
    );
  }
  return image;
}

/**
 * Reads the info of a model file.
 * @throws {RuntimeError} "info"
 */
export function infoOf(json: ReadonlyMap<string, StrictJson>): ModelInfo {
  const info = readFields("info", "info", json, INFO_FIELDS);
  for (
    const [what, id] of [
      ["image: tokenId", info.image?.tokenId ?? 0] as const,
      ...(info.prefix ?? []).map((p) => ["an id of prefix", p] as const),
      ...info.stopIds.map((s) => ["a stop id", s] as const),
    ]
  ) {
    if (id >= info.vocabulary) {
      fail(
        "info",
        `info: ${what} must be below the vocabulary of ${info.vocabulary}: current value is ${id}`,
      );
    }
  }
  return info;
}
