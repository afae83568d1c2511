/**
 * The plan of an image processor as data: how a picture is resized and cut into
 * tiles, and how bytes are normalised.
 * @module
 */
import type { PixelBounds } from "./smart_resize.ts";
import type { Resampling } from "./resize.ts";

/** Extent of a picture, in pixels. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

/** Bounds of the number of tiles, without the whole picture. */
export interface TileCount {
  readonly least: number;
  readonly most: number;
}

/** How a picture is resized and cut into tiles. */
export type Tiling =
  /** One tile of a fixed size; the aspect ratio is not kept. */
  | { readonly kind: "resize"; readonly size: Size }
  /** The middle of a picture whose shorter edge was resized to `shortest` (CLIP). */
  | { readonly kind: "crop"; readonly shortest: number; readonly size: Size }
  /** The picture in the middle of a square of one color, resized (LLaVA). */
  | {
    readonly kind: "pad";
    readonly size: Size;
    readonly color: readonly [number, number, number];
  }
  /** Resized, then cut along whole tiles, the whole picture last (Idefics3). */
  | {
    readonly kind: "split";
    /** First resize: to one size, or until the longer edge fits; undefined: none. */
    readonly first: Size | { readonly longestEdge: number } | undefined;
    /** Side of a tile. */
    readonly tile: number;
    /** False: the picture becomes one tile. */
    readonly split: boolean;
    /** Most tiles, the whole picture included; undefined: as many as there are. */
    readonly most?: number;
  }
  /** Resized to whole tiles at once, and cut, the whole picture made of that in front (nanoVLM). */
  | {
    readonly kind: "whole tiles";
    readonly tile: number;
    /** Largest side, a multiple of `tile`. */
    readonly longest: number;
    /** Small pictures grow until their longer side is the largest. */
    readonly grow: boolean;
    /** Most tiles beside the whole picture; undefined: as many as there are. */
    readonly most?: number;
  }
  /** Cut along the grid whose shape is nearest the picture's, the whole picture last (InternVL). */
  | { readonly kind: "grid"; readonly size: Size; readonly count: TileCount }
  /** One tile that keeps the picture's shape (Qwen2-VL). */
  | {
    readonly kind: "native";
    readonly bounds: PixelBounds;
    /** A picture of more pixels than `above` is cut along a grid, the whole picture within the bounds last (LFM2-VL). */
    readonly cut?: {
      readonly above: number;
      readonly size: Size;
      readonly count: TileCount;
    };
  }
  /** The picture at an area of side², then slices of that area each; all keep their shape in whole patches (MiniCPM-V). */
  | {
    readonly kind: "slices";
    readonly most: number;
    readonly side: number;
    readonly patch: number;
  };

/** Image settings of preprocessor_config.json. */
export interface ImagePlan {
  readonly tiling: Tiling;
  /** The filter of every resize. */
  readonly resampling: Resampling;
  /** Factor from byte to value. */
  readonly rescale: number;
  /** Subtracted after rescaling, per channel R, G, B. */
  readonly mean: readonly [number, number, number];
  /** Divided by after subtracting the mean, per channel. */
  readonly std: readonly [number, number, number];
}

/** Pixel bounds of a plan with native resolution; undefined for others. */
export function boundsOf({ tiling }: ImagePlan): PixelBounds | undefined {
  return tiling.kind === "native" ? tiling.bounds : undefined;
}

/** The plan that makes one tile of every picture, as transformers does with do_image_splitting false. */
export function oneTile(plan: ImagePlan): ImagePlan {
  return { ...plan, tiling: single(plan.tiling) };
}

function single(tiling: Tiling): Tiling {
  switch (tiling.kind) {
    case "grid":
      return { kind: "resize", size: tiling.size };
    case "native":
      return { kind: "native", bounds: tiling.bounds };
    case "slices":
      return { ...tiling, most: 1 };
    case "split":
      return { ...tiling, split: false };
    case "whole tiles":
      return {
        kind: "resize",
        size: { height: tiling.tile, width: tiling.tile },
      };
    case "crop":
    case "pad":
    case "resize":
      return tiling;
  }
}

/** The plan limited to `most` tiles per picture, the thumbnail included. */
export function atMostTiles(plan: ImagePlan, most: number): ImagePlan {
  // With two tiles, the only part would equal the whole picture.
  if (most < 3) return oneTile(plan);
  return { ...plan, tiling: fewer(plan.tiling, most - 1) };
}

/** At most `parts` tiles beside the whole picture. */
function fewer(tiling: Tiling, parts: number): Tiling {
  const within = ({ least, most }: TileCount): TileCount => ({
    least: Math.min(least, parts),
    most: Math.min(most, parts),
  });
  switch (tiling.kind) {
    case "grid":
      return { ...tiling, count: within(tiling.count) };
    case "native": {
      const { cut } = tiling;
      return cut
        ? { ...tiling, cut: { ...cut, count: within(cut.count) } }
        : tiling;
    }
    case "slices":
      return { ...tiling, most: Math.min(tiling.most, parts) };
    case "whole tiles":
      return { ...tiling, most: parts };
    case "split":
      return { ...tiling, most: parts + 1 };
    case "crop":
    case "pad":
    case "resize":
      return tiling;
  }
}

/**
 * The plan with images of at most `most` and at least `least` pixels. It changes only
 * plans of native resolution.
 */
export function withinPixels(
  plan: ImagePlan,
  most: number,
  least?: number,
): ImagePlan {
  const { tiling } = plan;
  if (tiling.kind !== "native") return plan;
  const { bounds, cut } = tiling;
  const kept = Math.min(bounds.most, most);
  // A tile is as large as the whole budget, or none is cut.
  const fits = cut && cut.size.height * cut.size.width <= most;
  return {
    ...plan,
    tiling: {
      kind: "native",
      bounds: {
        ...bounds,
        most: kept,
        least: Math.min(least ?? bounds.least, kept),
      },
      ...(fits ? { cut } : {}),
    },
  };
}
