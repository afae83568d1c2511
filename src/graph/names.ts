/**
 * Names of the tensors that quantization adds to a model file (docs/format.md). All
 * other tensors are named by the nodes.
 * @module
 */

/**
 * Static activation scale of a site's input: F32 [1] in the vision phase, F32 [2] =
 * vision, text in the text phase (MSQ). Linears with the same input share it, so it
 * has the name of the value.
 */
export const siteScale = (linear: { readonly x: string }): string =>
  `${linear.x}.scale`;

/** Per-row (output channel) scale of an integer weight: F32 [n]. */
export const weightScale = (weight: string): string => `${weight}_scale`;

/** Integer scale of each group of columns, a factor of the row's scale: U8 [n, k/group], 1 to 15. */
export const groupScale = (weight: string): string => `${weight}_group_scale`;

/** Float column 0 of the weight of a linear with `floatChannel0`: F32 [n]. */
export const channel0Weight = (linear: { readonly id: string }): string =>
  `${linear.id}.channel0_weight`;

/** Static scale per head of the q, k or v of an attention: F32 [heads] or [kvHeads]. */
export const headScale = (
  node: { readonly id: string },
  part: "q" | "k" | "v",
): string => `${node.id}.${part}_scale`;

/** Quantized keys or values of the prefix tokens: I8 [tokens, kvHeads·headDim], with the head scales. */
export const prefixValues = (
  node: { readonly id: string },
  part: "k" | "v",
): string => `${node.id}.prefix_${part}`;
