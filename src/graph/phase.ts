/**
 * The two phases of a model and the two modalities of its rows.
 * @module
 */

/** When a node runs: once per image, or once per chunk of tokens. */
export type Phase = "vision" | "text";

/** Whose rows a value of the text phase has; MSQ keeps one scale for each. */
export type Modality = "vision" | "text";

/** In this order everywhere: scales, row ranges, file. */
export const MODALITIES: readonly Modality[] = ["vision", "text"];
