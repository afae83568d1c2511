/**
 * Default settings of the image processors of transformers, by class. A
 * preprocessor_config.json states only what differs from its class, so an
 * absent setting has the class's value. Source: the `__init__` of each
 * models/<model>/image_processing_<model>.py; the classes that end in Fast or Pil share
 * the values of the plain one.
 *
 * LFM2-VL's and MiniCPM-V's processors have readers of their own with their defaults.
 * @module
 */

/** Settings of a processor, as preprocessor_config.json names them. */
export type Settings = Record<string, unknown>;

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
const LANCZOS = 1, BILINEAR = 2, BICUBIC = 3; // PIL's numbers

const IDEFICS3 = {
  ...HALF,
  resample: LANCZOS,
  size: { longest_edge: 4 * 364 },
  do_image_splitting: true,
  max_image_size: { longest_edge: 364 },
};

/** CLIP's class has a crop by default, which no family here uses: its size must be stated. */
const DEFAULTS: Readonly<Record<string, Settings>> = {
  CLIP: { ...CLIP, resample: BICUBIC },
  Gemma3: { ...HALF, resample: BILINEAR, ...square(224) },
  GotOcr2: {
    ...CLIP,
    resample: BICUBIC,
    ...square(384),
    min_patches: 1,
    max_patches: 12,
  },
  Idefics3: IDEFICS3,
  Qwen2VL: {
    ...CLIP,
    resample: BICUBIC,
    size: { shortest_edge: 56 * 56, longest_edge: 28 * 28 * 1280 },
    patch_size: 14,
    merge_size: 2,
  },
  Siglip: { ...HALF, resample: BICUBIC, ...square(224) },
  SmolVLM: IDEFICS3,
};

/** Classes whose defaults are known, as preprocessor_config.json names them. */
export const PROCESSOR_CLASSES: readonly string[] = Object.keys(DEFAULTS)
  .map((name) => `${name}ImageProcessor`);

/** Name of the class in settings; empty where they name none. */
export function processorOf(settings: Settings): string {
  const name = settings.image_processor_type ?? settings.feature_extractor_type;
  return typeof name === "string" ? name : "";
}

/** Settings completed by the defaults of their class. Null counts as absent, as in transformers. */
export function withDefaults(settings: Settings): Settings {
  const name = processorOf(settings)
    .replace(/(ImageProcessor(Fast|Pil)?|FeatureExtractor)$/, "");
  if (!Object.hasOwn(DEFAULTS, name)) return settings;
  const stated = Object.entries(settings).filter(([, value]) => value !== null);
  return { ...DEFAULTS[name], ...Object.fromEntries(stated) };
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
