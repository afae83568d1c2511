/**
 * Quantization sites: values that enter a `linear` or a convolution as int8.
 * @module
 */
import type { Floats } from "../executor.ts";
import type { Runner } from "../runner.ts";

/** What a watcher may see and replace of the nodes `N` that read a site. `modality` has one entry per row: 0 vision, 1 text. */
export interface SiteHooks<N> {
  /** Leave the head's product out: calibration wants what enters it, not the logits. */
  readonly headless?: boolean;
  /** The value entering the nodes that share an input; called once per value. Returns what they shall see. */
  input?(node: N, x: Floats, modality: Uint8Array): Floats;
  /**
   * The weight [n, k] a node shall use, having seen (replaced) input x;
   * undefined keeps it. Of several each gets an equal share of the rows, in order.
   */
  weight?(node: N, x: Floats, modality: Uint8Array):
    | Floats
    | readonly Floats[]
    | undefined;
}

/** The value that a node reads, [rows, width], as the watcher left it. */
export function siteValue<N extends { readonly x: string }>(
  node: N,
  width: number,
  r: Runner<SiteHooks<N>>,
  modality: (rows: number) => Uint8Array,
): Floats {
  const known = r.quantized.get(node.x);
  if (known) return known;
  const x = r.value(node.x);
  const seen = r.hooks.input?.(node, x, modality(x.length / width)) ?? x;
  r.quantized.set(node.x, seen);
  return seen;
}

/** The weights that a node uses, one or several. */
export function siteWeights<N extends { readonly weight: string }>(
  node: N,
  r: Runner<SiteHooks<N>>,
  x: Floats,
  modality: Uint8Array,
): readonly Floats[] {
  const weight = r.hooks.weight?.(node, x, modality) ?? r.param(node.weight);
  return Array.isArray(weight) ? weight : [weight as Floats];
}
