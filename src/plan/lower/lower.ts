/**
 * Lowers a phase of the graph to kernel calls. Each node becomes a value that is
 * written down only when someone needs it, and in the form needed: float rows or
 * int8 codes. That is where fusion comes from.
 * @module
 */
import { quoted } from "../../format/error.ts";
import { tokensIn } from "../../graph/grid.ts";
import { imageOf, type Node, type WriteNode } from "../../graph/node.ts";
import type { Store } from "../buffer.ts";
import type { StaticModel } from "../../graph/static_model.ts";
import { lowerAttend } from "./attend.ts";
import { lowerConvolve } from "./convolve.ts";
import { type Lowered, Lowering, type LowerOptions } from "./context.ts";
import { floatsOf } from "./floats.ts";
import { lowerLinear } from "./product.ts";
import { fixedForm } from "../form.ts";
import {
  lowerGain,
  lowerHeadNorm,
  lowerJoin,
  lowerLast,
  lowerRotate,
  lowerShuffle,
  lowerStack,
  lowerTable,
  lowerTake,
} from "./rows.ts";
import { lowerPeek, lowerRead, lowerWrite } from "./stream.ts";

/** Lowers one phase. */
export function lower(
  model: StaticModel,
  store: Store,
  options: LowerOptions,
): Lowered {
  return run(new Lowering(model, store, options));
}

function run(l: Lowering): Lowered {
  for (const node of l.nodes) lowerNode(l, node);
  const result = resultOf(l);
  l.close();
  return {
    steps: l.steps,
    tail: Math.min(l.tail, l.steps.length),
    arena: l.arena,
    result,
    grids: l.grids,
    ...(l.images ? { images: l.images } : {}),
  };
}

/** The value a phase is run for; it must outlive all steps. */
function resultOf(l: Lowering): Lowered["result"] {
  const bridge = l.model.nodes.find((n) =>
    n.op === "write" && n.phase === "text" && n.rows === "vision"
  ) as WriteNode | undefined;
  const id = l.options.phase === "text" ? l.nodes.at(-1)!.id : bridge?.x;
  if (id === undefined) {
    throw l.error("the text phase takes in no image rows");
  }
  const value = floatsOf(l, id);
  if (value.column !== 0) throw l.error(`${quoted(id)} shares its rows`);
  const want = l.options.phase === "text"
    ? 1
    : tokensIn(imageOf(l.model.info), { rows: 1, cols: l.options.patches });
  if (value.form.most !== want) {
    throw l.error(
      `${quoted(id)} must have ${want} rows: it has ${value.form.most}`,
    );
  }
  value.buffer.last = l.steps.length;
  return { buffer: value.buffer, stride: value.stride };
}

function lowerNode(l: Lowering, node: Node): void {
  switch (node.op) {
    case "patches": {
      const { patches } = l.options;
      const form = node.extra ? fixedForm(patches, 0) : l.options.form;
      l.values.set(node.id, { kind: "patches", form });
      return;
    }
    case "table":
      l.values.set(node.id, lowerTable(l, node));
      return;
    case "embed":
      return; // placed by the write that takes it
    case "linear":
      return lowerLinear(l, node);
    case "write":
      return lowerWrite(l, node);
    case "read":
      return lowerRead(l, node);
    case "peek":
      return lowerPeek(l, node);
    case "attend":
      l.values.set(node.id, lowerAttend(l, node));
      return;
    case "convolve":
      l.values.set(node.id, lowerConvolve(l, node));
      return;
    case "act":
      l.values.set(node.id, {
        kind: "act",
        node,
        form: l.value(node.x).form,
      });
      return;
    case "rotate":
      return lowerRotate(
        l,
        node.id,
        node.x,
        node.rotation,
        node.inverse === true,
      );
    case "gain":
      return lowerGain(l, node.id, node.x, node.param);
    case "headnorm":
      l.values.set(node.id, lowerHeadNorm(l, node));
      return;
    case "shuffle":
      l.values.set(node.id, lowerShuffle(l, node));
      return;
    case "join":
      l.values.set(node.id, lowerJoin(l, node));
      return;
    case "stack":
      l.values.set(node.id, lowerStack(l, node));
      return;
    case "take":
      return lowerTake(l, node);
    case "last":
      return lowerLast(l, node.id, node.x);
  }
}
