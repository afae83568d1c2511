/**
 * The two phases of a model and the two modalities of its rows.
 * @module
 */

/** When a node runs: once per image, or once per chunk of tokens. */
export type Phase = "vision" | "text";

/** Modality of rows of the text phase: image rows or text rows. Each has its own activation scale (MSQ). */
export type Modality = "vision" | "text";

/** The modalities in the order of scales, row ranges and the file. */
export const MODALITIES: readonly Modality[] = ["vision", "text"];
