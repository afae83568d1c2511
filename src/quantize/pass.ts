/**
 * A pass is a pure function from model to model that does not change the computed
 * function. Weights are lazy: a pass costs nothing until a tensor is read. One
 * property test checks all passes.
 * @module
 */
import {
  inputsOf,
  type LinearNode,
  type Model,
  type Node,
  withInputs,
} from "../graph/node.ts";
import { rotate, type Rotation, transpose } from "../tensor/rotation.ts";
import { mapTensor, type Tensor } from "../tensor/tensor.ts";

/** A rewrite of a model that changes no logit. Its name is stored in the file. */
export interface Pass {
  readonly name: string;
  readonly apply: (model: Model) => Model;
}

/** A model while a pass edits it. */
export interface Draft {
  readonly model: Model;
  nodes: Node[];
  readonly params: Map<string, Tensor>;
}

/** Wraps a function that edits a draft as a pass. */
export function pass(name: string, edit: (draft: Draft) => void): Pass {
  return {
    name,
    apply(model) {
      const draft = {
        model,
        nodes: [...model.nodes],
        params: new Map(model.params),
      };
      edit(draft);
      return { info: model.info, nodes: draft.nodes, params: draft.params };
    },
  };
}

/** A parameter. Throws `RangeError` where it does not exist. */
export function param(draft: Draft, name: string): Tensor {
  const t = draft.params.get(name);
  if (!t) throw new RangeError(`Cannot find parameter "${name}"`);
  return t;
}

/** Replaces the numbers of a parameter. */
export function edit(
  draft: Draft,
  name: string,
  f: (values: Float64Array) => Float64Array,
): void {
  draft.params.set(name, mapTensor(param(draft, name), f));
}

/** Replaces a node, by id. */
export function replace(draft: Draft, node: Node): void {
  draft.nodes = draft.nodes.map((n) => (n.id === node.id ? node : n));
}

/** Inserts a node before another. */
export function insertBefore(draft: Draft, id: string, node: Node): void {
  draft.nodes.splice(draft.nodes.findIndex((n) => n.id === id), 0, node);
}

/** Inserts a node after the value `from`: all its consumers, or only its additions to `stream`, take the node's value instead. */
export function insertBehind(
  draft: Draft,
  from: string,
  node: Node,
  stream?: string,
): void {
  if (stream === undefined) redirect(draft, from, node.id);
  else {
    draft.nodes = draft.nodes.map((n) =>
      n.op === "residual_add" && n.stream === stream && n.x === from
        ? { ...n, x: node.id }
        : n
    );
  }
  const at = draft.nodes.findIndex((n) => n.id === from);
  draft.nodes.splice(at + 1, 0, node);
}

/** Replaces the value `from` by `to` in all its consumers. */
export function redirect(draft: Draft, from: string, to: string): void {
  draft.nodes = draft.nodes.map((n) =>
    inputsOf(n).includes(from) ? withInputs(n, (x) => x === from ? to : x) : n
  );
}

/** A node as earlier edits left it. */
export function current<N extends Node>(draft: Draft, node: N): N {
  return draft.nodes.find((n) => n.id === node.id) as N;
}

/** y·Q for a linear's output: W ← QᵀW, b ← bQ. Q acts on each `r.n` outputs. */
export function rotateOutput(
  draft: Draft,
  node: LinearNode,
  r: Rotation,
): void {
  edit(draft, node.weight, (w) => {
    const t = transpose(w, node.n, node.k); // columns of W become rows
    rotate(t, r);
    return transpose(t, node.k, node.n);
  });
  if (node.bias) edit(draft, node.bias, (b) => (rotate(b, r), b));
}

/** W ← WQ for a linear whose input is xQ. Q acts on each `r.n` inputs. */
export function rotateInput(draft: Draft, node: LinearNode, r: Rotation): void {
  edit(draft, node.weight, (w) => (rotate(w, r), w));
}

/** Whether a linear's weight is an embedding table too. */
export function isTied(draft: Draft, node: LinearNode): boolean {
  return draft.nodes.some((n) =>
    n.op === "embedding" && n.weight === node.weight
  );
}
