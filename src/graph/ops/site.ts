/**
 * Quantization sites: inputs of a `linear` or a convolution, quantized to int8.
 * @module
 */
import type { Floats } from "../executor.ts";
import type { Runner } from "../runner.ts";

/** Hooks of the nodes `N` with quantized inputs. `modality` has one entry per row: 0 vision, 1 text. */
export interface SiteHooks<N> {
  /** Skip the matmul of the head: calibration needs its input, not the logits. */
  readonly headless?: boolean;
  /** Called once per value with the input x, [rows, width]; returns the input that all its readers use. */
  input?(node: N, x: Floats, modality: Uint8Array): Floats;
  /**
   * Called with a node and its (replaced) input; returns the weight [n, k] to use,
   * undefined for the node's own. Of several weights each is used for an equal share
   * of the rows, in order.
   */
  weight?(node: N, x: Floats, modality: Uint8Array):
    | Floats
    | readonly Floats[]
    | undefined;
}

/** The input of a node, [rows, width], after the hook `input`. */
export function siteValue<N extends { readonly x: string }>(
  node: N,
  width: number,
  r: Runner<SiteHooks<N>>,
  modality: (rows: number) => Uint8Array,
): Floats {
  const known = r.quantized.get(node.x);
  if (known) return known;
  const x = r.value(node.x);
  const used = r.hooks.input?.(node, x, modality(x.length / width)) ?? x;
  r.quantized.set(node.x, used);
  return used;
}

/** The weights of a node after the hook `weight`, one or several. */
export function siteWeights<N extends { readonly weight: string }>(
  node: N,
  r: Runner<SiteHooks<N>>,
  x: Floats,
  modality: Uint8Array,
): readonly Floats[] {
  const weight = r.hooks.weight?.(node, x, modality) ?? r.param(node.weight);
  return Array.isArray(weight) ? weight : [weight as Floats];
}
