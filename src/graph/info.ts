/**
 * What the runtime must know of a model beside its nodes: `info` of a model file.
 * Everything comes from the checkpoint's own files.
 * @module
 */
import type { StrictJson } from "../format/strict_json.ts";
import * as f from "./field.ts";
import { fail, type Field, type ObjectOf, readFields } from "./field.ts";

/** Texts of a picture that is cut into tiles. */
export const TILE_FIELDS = {
  begin: f.longText("in front"),
  tile: f.longText("one tile; {row} and {col} count from 1"),
  rowEnd: f.longText("behind each row of tiles"),
  rowGap: f.optional(f.longText("between rows")),
  end: f.longText("behind"),
};

/** Fields of `ImageInfo`. */
export const IMAGE_FIELDS = {
  height: f.size("pixels, whole patches, at most 4096"),
  width: f.size("pixels, whole patches, at most 4096"),
  patchSize: f.size("pixels of a patch along each side"),
  nativeResolution: f.optional(
    f.yes(
      "pictures keep their shape: whole squares of tokens, by default at most height × width pixels",
    ),
  ),
  maxPatches: f.optional(
    f.size("most patches, where that does not follow from height × width"),
  ),
  tokens: f.size("rows of the text stream that one image becomes"),
  fixedTokens: f.optional(f.yes("so many tokens, however large the picture")),
  tokenId: f.tokenId("the token that stands for one of them"),
  templateToken: f.optional(
    f.longText("what a chat template writes for an image, if not its token"),
  ),
  tokenText: f.optional(
    f.longText("what stands for each {tokens} of the texts"),
  ),
  text: f.longText(
    "what an image is in a prompt, with nativeResolution once per token; {image} is its number from 0, {picture} from 1",
  ),
  sharedPosition: f.optional(
    f.yes(
      "all tokens of an image share one position id; otherwise each has its row and column",
    ),
  ),
  bidirectional: f.optional(
    f.yes("the tokens of an image attend to each other, not only back"),
  ),
  leadingTokens: f.optional(
    f.size("with sharedPosition: first tokens with position ids of their own"),
  ),
  tiles: f.optional<Field<ObjectOf<typeof TILE_FIELDS>>>({
    wish: "{begin, tile, rowEnd, rowGap?, end}, texts of at most 1 MB",
    about:
      "what a picture that is cut into tiles is in a prompt; the whole picture stands in begin or in end",
    read: (v) =>
      v instanceof Map
        ? readFields("info", "info: image: tiles", v, TILE_FIELDS)
        : undefined,
  }),
};

/** How a model takes images: their size in pixels, and what one is in a prompt. */
export type ImageInfo = ObjectOf<typeof IMAGE_FIELDS>;

/** Fields of `ModelInfo`. */
export const INFO_FIELDS = {
  architecture: f.name("for people"),
  vocabulary: f.size("tokens; rows of the embedding and of the head"),
  maxPositions: f.size("longest sequence the positions allow"),
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
    )("prefix (attention-sink) tokens: in front of every sequence"),
  ),
  image: f.optional<Field<ImageInfo>>({
    wish: "an object",
    about: "how the model takes images; absent where it reads text only",
    read: (v) => v instanceof Map ? readImage(v) : undefined,
  }),
};

/** What the runtime must know beside the nodes. */
export type ModelInfo = ObjectOf<typeof INFO_FIELDS>;

/**
 * How a model takes images.
 * @throws {RangeError} where it takes none
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
      `info: image must have sides of whole patches, at most 4096: it is ${height} × ${width} with patches of ${patchSize}`,
    );
  }
  return image;
}

/**
 * Info of a model file.
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
