/**
 * Image processors of transformers as data: by class, the settings that apply
 * where preprocessor_config.json states none, and how its pictures become tiles.
 * Source: the `__init__` of each models/<model>/image_processing_<model>.py; the
 * classes that end in Fast or Pil share the values of the plain one. MiniCPM-V's
 * class is its repository's image_processing_minicpmv.py.
 * @module
 */
import { parseSettings, StrictJsonError } from "../format/strict_json.ts";
import type { ImagePlan, Tiling } from "./plan.ts";
import type { Resampling } from "./resize.ts";
import {
  MOST_TILES,
  readCount,
  readEdgeOrSize,
  readSide,
  readSize,
  readTriple,
  refuse,
  type Settings,
} from "./settings.ts";
import { pixelBounds } from "./smart_resize.ts";

/** An image processor. */
interface Processor {
  readonly defaults: Settings;
  readonly tiling: (settings: Settings) => Tiling;
  /** By PIL's number; `PIL` where absent. */
  readonly filters?: ReadonlyMap<unknown, Resampling>;
}

const LANCZOS = 1, BILINEAR = 2, BICUBIC = 3; // PIL's numbers
const PIL: ReadonlyMap<unknown, Resampling> = new Map([
  [LANCZOS, "lanczos"],
  [BILINEAR, "bilinear"],
  [BICUBIC, "bicubic"],
]);

const RESCALE = { do_rescale: true, rescale_factor: 1 / 255 };
const HALF = {
  ...RESCALE,
  do_normalize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
};
const CLIP = {
  ...RESCALE,
  do_normalize: true,
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
};
const square = (side: number) => ({ size: { height: side, width: side } });
const CROPPED = {
  ...CLIP,
  resample: BICUBIC,
  size: { shortest_edge: 224 },
  do_center_crop: true,
  crop_size: { height: 224, width: 224 },
};
const IDEFICS3 = {
  ...HALF,
  resample: LANCZOS,
  size: { longest_edge: 4 * 364 },
  do_image_splitting: true,
  max_image_size: { longest_edge: 364 },
};

const PROCESSORS: Readonly<Record<string, Processor>> = {
  CLIP: { defaults: CROPPED, tiling: cropped },
  Gemma3: {
    defaults: { ...HALF, resample: BILINEAR, ...square(224) },
    tiling: resized,
  },
  GotOcr2: {
    defaults: {
      ...CLIP,
      resample: BICUBIC,
      ...square(384),
      min_patches: 1,
      max_patches: 12,
    },
    tiling: nearestGrid,
  },
  Idefics3: { defaults: IDEFICS3, tiling: resized },
  Llava: {
    defaults: { ...CROPPED, do_pad: false },
    tiling: (s) => s.do_pad === true ? paddedSquare(s) : cropped(s),
  },
  LlavaOnevision: {
    defaults: { ...CLIP, resample: BICUBIC, ...square(384) },
    tiling: paddedSquare,
  },
  Lfm2Vl: {
    defaults: {
      ...HALF,
      resample: BILINEAR,
      do_image_splitting: true,
      use_thumbnail: true,
      encoder_patch_size: 16,
      downsample_factor: 2,
      tile_size: 512,
      min_tiles: 2,
      max_tiles: 10,
      min_image_tokens: 64,
      max_image_tokens: 256,
      max_pixels_tolerance: 2,
    },
    tiling: nativeOrGrid,
    filters: new Map([[BILINEAR, "torch-bilinear"]]), // resizes with torch
  },
  MiniCPMV: {
    defaults: {
      ...HALF,
      resample: BICUBIC,
      slice_mode: true,
      max_slice_nums: 9,
      scale_resolution: 448,
      patch_size: 14,
    },
    tiling: nearestSlices,
  },
  // data/processors.py of the nanoVLM repository, its settings named as in config.json
  NanoVLM: {
    defaults: {
      ...RESCALE,
      do_normalize: false,
      resample: BICUBIC,
      ...square(512),
      max_img_size: 2048,
      resize_to_max_side_len: false,
    },
    tiling: wholeTiles,
  },
  Qwen2VL: {
    defaults: {
      ...CLIP,
      resample: BICUBIC,
      size: { shortest_edge: 56 * 56, longest_edge: 28 * 28 * 1280 },
      patch_size: 14,
      merge_size: 2,
    },
    tiling: (s) => ({ kind: "native", bounds: pixelBounds(s) }),
  },
  Siglip: {
    defaults: { ...HALF, resample: BICUBIC, ...square(224) },
    tiling: resized,
  },
  SmolVLM: { defaults: IDEFICS3, tiling: resized },
};

/** Of a class that is not known: it must state its settings. */
const UNKNOWN: Processor = { defaults: {}, tiling: resized };

/** Classes whose defaults are known, as preprocessor_config.json names them. */
export const PROCESSOR_CLASSES: readonly string[] = Object.keys(PROCESSORS)
  .map((name) => `${name}ImageProcessor`);

/** Name of the class in settings; empty where they name none. */
function classOf(settings: Settings): string {
  const name = settings.image_processor_type ?? settings.feature_extractor_type;
  return typeof name === "string" ? name : "";
}

function processorOf(settings: Settings): Processor {
  const name = classOf(settings)
    .replace(/(ImageProcessor(Fast|Pil)?|FeatureExtractor)$/, "");
  return Object.hasOwn(PROCESSORS, name) ? PROCESSORS[name] : UNKNOWN;
}

/**
 * Reads the text of a preprocessor_config.json. Absent settings, and null, have
 * the defaults of the class it names.
 * @throws {ImageError} "settings"
 */
export function readImagePlan(text: string): ImagePlan {
  let stated: Settings;
  try {
    stated = parseSettings(text);
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    refuse(`it ${error.message}`);
  }
  const { defaults, tiling, filters = PIL } = processorOf(stated);
  const known = Object.entries(stated).filter(([, value]) => value !== null);
  const settings: Settings = { ...defaults, ...Object.fromEntries(known) };
  return {
    tiling: tiling(settings),
    resampling: resamplingOf(settings, filters),
    ...valuesOf(settings),
  };
}

function resamplingOf(
  settings: Settings,
  filters: ReadonlyMap<unknown, Resampling>,
): Resampling {
  const { resample } = settings, found = filters.get(resample);
  if (found) return found;
  const names = [...filters].map(([number, name]) => `${number} (${name})`);
  const unknown = resample === undefined
    ? `, and the class ${
      JSON.stringify(classOf(settings))
    } has no known default; known classes are ${PROCESSOR_CLASSES.join(", ")}`
    : "";
  refuse(
    `resample must be ${names.join(" or ")}: it is ${
      JSON.stringify(resample)
    }${unknown}`,
  );
}

/** Rescaling and normalisation; MiniCPM-V's class calls them norm_mean and norm_std. */
function valuesOf(
  settings: Settings,
): Pick<ImagePlan, "rescale" | "mean" | "std"> {
  const normalize = settings.do_normalize !== false;
  const of = (key: string, older: string, identity: number[]) =>
    normalize
      ? settings[older] === undefined
        ? readTriple(key, settings[key])
        : readTriple(older, settings[older])
      : readTriple(key, identity);
  const rescale = settings.do_rescale === false
    ? 1
    : settings.rescale_factor ?? 1 / 255;
  if (typeof rescale !== "number" || !(rescale > 0 && rescale <= 1)) {
    refuse(
      `rescale_factor must be above 0 and at most 1: it is ${
        JSON.stringify(rescale)
      }`,
    );
  }
  const std = of("image_std", "norm_std", [1, 1, 1]);
  if (std.some((s) => s <= 0)) {
    refuse(`image_std must be positive: it is ${JSON.stringify(std)}`);
  }
  return { rescale, mean: of("image_mean", "norm_mean", [0, 0, 0]), std };
}

/** One size, or Idefics3's tiles where the settings have `max_image_size`. */
function resized(settings: Settings): Tiling {
  const { size, max_image_size: largest } = settings;
  const split = settings.do_image_splitting === true;
  const first = settings.do_resize === false ? undefined : readEdgeOrSize(size);
  if (largest !== undefined) {
    const tile = readSide(
      "max_image_size.longest_edge",
      (largest as Settings | null)?.longest_edge,
    );
    return { kind: "split", first, tile, split };
  }
  if (split) refuse("do_image_splitting needs max_image_size");
  if (first === undefined) {
    refuse(
      "do_resize is false and there is no max_image_size: the tower needs one size",
    );
  }
  if ("longestEdge" in first) refuse("size.longest_edge needs max_image_size");
  return { kind: "resize", size: first };
}

/** The middle of the picture where its shorter edge is resized; else one size, of which the middle is all. */
function cropped(settings: Settings): Tiling {
  const { size, crop_size, do_center_crop, do_resize } = settings;
  const edge = (size as Settings | null | undefined)?.shortest_edge;
  if (edge === undefined) return resized(settings);
  if (do_center_crop === false || do_resize === false) {
    refuse(
      "size.shortest_edge needs do_resize and do_center_crop: the tower needs one size",
    );
  }
  const shortest = readSide("size.shortest_edge", edge);
  const kept = readSize(crop_size);
  if (Math.max(kept.height, kept.width) > shortest) {
    refuse(
      `crop_size must be at most size.shortest_edge, ${shortest}: it is ${kept.height} × ${kept.width}`,
    );
  }
  return { kind: "crop", shortest, size: kept };
}

/** The picture in a square of the mean color. */
function paddedSquare(settings: Settings): Tiling {
  const { size, crop_size } = settings;
  const edge = (size as Settings | null | undefined)?.shortest_edge;
  const color = readTriple("image_mean", settings.image_mean)
    .map((mean) => Math.min(Math.max(Math.trunc(mean * 255), 0), 255));
  const to = readSize(edge === undefined ? size : crop_size ?? edge);
  if (to.width !== to.height) {
    refuse(
      `the size of a padded picture must be a square: it is ${to.width} × ${to.height}`,
    );
  }
  return {
    kind: "pad",
    size: to,
    color: color as [number, number, number],
  };
}

/** transformers' InternVLProcessor asks this class to cut, whatever its settings say. */
function nearestGrid(settings: Settings): Tiling {
  const least = readCount("min_patches", settings.min_patches, MOST_TILES);
  const most = readCount("max_patches", settings.max_patches, MOST_TILES);
  if (most < least) {
    refuse(
      `min_patches must be at most max_patches: they are ${least} and ${most}`,
    );
  }
  return {
    kind: "grid",
    size: readSize(settings.size),
    count: { least, most },
  };
}

function wholeTiles(settings: Settings): Tiling {
  const { height: tile, width } = readSize(settings.size);
  const longest = readSide("max_img_size", settings.max_img_size);
  if (width !== tile || longest % tile !== 0) {
    refuse(
      `size must be a square and max_img_size a multiple of its side: they are ${tile} × ${width} and ${longest}`,
    );
  }
  const grow = settings.resize_to_max_side_len === true;
  return { kind: "whole tiles", tile, longest, grow };
}

function nearestSlices(settings: Settings): Tiling {
  const most = readCount("max_slice_nums", settings.max_slice_nums, MOST_TILES);
  return {
    kind: "slices",
    most: settings.slice_mode === false ? 1 : most,
    side: readSide("scale_resolution", settings.scale_resolution),
    patch: readSide("patch_size", settings.patch_size),
  };
}

function nativeOrGrid(settings: Settings): Tiling {
  const side = (key: string) => readSide(key, settings[key]);
  const unit = side("encoder_patch_size") * side("downsample_factor");
  const tile = side("tile_size"), tolerance = settings.max_pixels_tolerance;
  const least = readCount("min_tiles", settings.min_tiles, MOST_TILES);
  const most = readCount("max_tiles", settings.max_tiles, MOST_TILES);
  if (most < least) {
    refuse(
      `min_tiles must be at most max_tiles: they are ${least} and ${most}`,
    );
  }
  if (tile % unit !== 0) {
    refuse(`tile_size must be a multiple of ${unit}: it is ${tile}`);
  }
  if (typeof tolerance !== "number" || !(tolerance >= 1 && tolerance <= 64)) {
    refuse(
      `max_pixels_tolerance must be from 1 to 64: it is ${
        JSON.stringify(tolerance)
      }`,
    );
  }
  const bounds = {
    unit,
    least: side("min_image_tokens") * unit ** 2,
    most: side("max_image_tokens") * unit ** 2,
    whole: true,
  } as const;
  const split = settings.do_image_splitting !== false &&
    settings.use_thumbnail !== false;
  return {
    kind: "native",
    bounds,
    ...(split
      ? {
        cut: {
          above: bounds.most * tolerance,
          size: { height: tile, width: tile },
          count: { least, most },
        },
      }
      : {}),
  };
}

/**
 * Image settings in a processor_config.json, where transformers 5 writes them
 * instead of a preprocessor_config.json; undefined where it has none.
 */
export function nestedSettings(processor: Settings): Settings | undefined {
  const nested = processor.image_processor;
  return typeof nested === "object" && nested !== null && !Array.isArray(nested)
    ? nested as Settings
    : undefined;
}
