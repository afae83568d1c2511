/**
 * Names of what quantization adds to a graph, as they stand in the model file
 * (docs/format.md). Everything else is named by the nodes themselves.
 * @module
 */

/**
 * Static scale of the value that enters a linear: F32 [1] in the vision phase,
 * F32 [2] = vision, text in the text phase (MSQ). Linears that share an input
 * share it, so it is named by the value.
 */
export const siteScale = (linear: { readonly x: string }): string =>
  `${linear.x}.scale`;

/** Per-output-channel (or per-row) scale of an integer weight: F32 [n]. */
export const weightScale = (weight: string): string => `${weight}_scale`;

/** Integer scale of each group of a weight's columns, on top of its row's: U8 [n, k/group], 1 to 15. */
export const groupScale = (weight: string): string => `${weight}_group_scale`;

/** Column 0 of the weight of a linear with `floatChannel0`, in float: F32 [n]. */
export const channel0Weight = (linear: { readonly id: string }): string =>
  `${linear.id}.channel0_weight`;

/** Static scale per head of q, k or v entering attention: F32 [heads] or [kvHeads]. */
export const headScale = (
  node: { readonly id: string },
  part: "q" | "k" | "v",
): string => `${node.id}.${part}_scale`;

/** Values of the keys or values of the tokens in front of every sequence: I8 [tokens, kvHeads·headDim], on the head scales. */
export const prefixValues = (
  node: { readonly id: string },
  part: "k" | "v",
): string => `${node.id}.prefix_${part}`;
