/**
 * What the runtime must know of a model beside its nodes: `info` of a model file.
 * Everything comes from the checkpoint's own files.
 * @module
 */
import type { StrictJson } from "../format/strict_json.ts";
import {
  fail,
  type Field,
  list,
  longText,
  MAX_SIZE,
  name,
  type ObjectOf,
  optional,
  readFields,
  size,
  yes,
} from "./field.ts";

const tokenId = (about: string): Field<number> => ({
  wish: `a token id below ${MAX_SIZE}`,
  about,
  read: (v) =>
    typeof v === "number" && Number.isInteger(v) && v >= 0 && v < MAX_SIZE
      ? v
      : undefined,
});

/** An object of texts; those of `more` may be missing. */
const texts = <const K extends string, const M extends string>(
  keys: readonly K[],
  more: readonly M[],
  about: string,
): Field<
  & { readonly [P in K]: string }
  & { readonly [P in M]?: string }
> => ({
  wish: `{${keys.join(", ")}} and perhaps ${
    more.join(", ")
  }, texts of at most 1 MB`,
  about,
  read(v) {
    if (!(v instanceof Map)) return undefined;
    const known = [...keys, ...more.filter((key) => v.has(key))];
    const given = known.map((key) => [key, v.get(key) ?? null] as const);
    return v.size === known.length &&
        given.every(([, text]) => longText("").read(text) !== undefined)
      ? Object.fromEntries(given) as never
      : undefined;
  },
});

/** Fields of `ImageInfo`. */
export const IMAGE_FIELDS = {
  height: size("pixels, whole patches, at most 4096"),
  width: size("pixels, whole patches, at most 4096"),
  patchSize: size("pixels of a patch along each side"),
  nativeResolution: yes(
    "pictures keep their shape: any whole squares of tokens; height × width is then how many pixels one has at most, unless more are asked for",
  ),
  maxPatches: optional(
    size(
      "most patches of a picture, where that does not follow from height × width",
    ),
  ),
  tokens: size("rows of the text stream that one image becomes"),
  fixedTokens: yes("every picture becomes so many tokens, however large"),
  tokenId: tokenId("the token that stands for one of them"),
  templateToken: optional(
    longText(
      "what a chat template writes for an image, where that is not its token",
    ),
  ),
  tokenText: optional(
    longText(
      "what stands for each {tokens} of a picture's texts, for families whose pictures of any size have more text than tokens",
    ),
  ),
  text: longText(
    "what an image is in a prompt, with nativeResolution once per token; {image} is its number from 0, {picture} from 1",
  ),
  sharedPosition: yes(
    "all tokens of an image share one position id; otherwise each has its row and column",
  ),
  bidirectional: yes(
    "the tokens of an image attend to each other, not only to those before them",
  ),
  leadingTokens: optional(
    size(
      "with sharedPosition: so many first tokens of an image have position ids of their own",
    ),
  ),
  tiles: optional(
    texts(
      ["begin", "tile", "rowEnd", "end"],
      ["rowGap"],
      "what a picture that is cut into tiles is in a prompt: begin, then row by row tile with {row} and {col} from 1 and rowEnd, with rowGap between rows, then end; the whole picture stands in begin or in end",
    ),
  ),
};

/** How a model takes images: their size in pixels, and what one is in a prompt. */
export type ImageInfo = ObjectOf<typeof IMAGE_FIELDS>;

/** Fields of `ModelInfo`. */
export const INFO_FIELDS = {
  architecture: name("for people"),
  vocabulary: size("tokens; rows of the embedding and of the head"),
  maxPositions: size("longest sequence the positions allow"),
  stopIds: list(
    "a list of at most 64 token ids",
    "tokens that end an answer",
    (n) => n <= 64,
    tokenId(""),
  ),
  prefix: optional(
    list(
      "a list of 1 to 64 token ids",
      "prefix (attention-sink) tokens: in front of every sequence, their keys and values in the file",
      (n) => n >= 1 && n <= 64,
      tokenId(""),
    ),
  ),
  image: optional<Field<ImageInfo>>({
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
    `Cannot take an image: ${architecture} reads text only`,
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
