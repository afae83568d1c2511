/**
 * Checks of a graph beyond the fields of its nodes: a node uses only values of
 * earlier nodes, widths agree, and each op's own check passes.
 * @module
 */
import { quoted } from "../format/error.ts";
import { fail, MAX_SIZE } from "./field.ts";
import { wholeTokens } from "./grid.ts";
import type { ImageInfo, ModelInfo } from "./info.ts";
import { extraRows, inputsOf, logitsOf } from "./node.ts";
import type { Checker, Op } from "./op.ts";
import { type Node, OPS, recordOf } from "./ops/mod.ts";
import type { Modality } from "./phase.ts";

/** Most nodes that the width of a value may be derived from: bounds the time of `widthOf`. */
const MAX_WIDTHS = 1024;

/** A value of an earlier node, while a graph is checked. */
interface CheckedValue {
  readonly node: Node;
  readonly width: number | undefined;
  /** Nodes that its width is derived from, itself included. */
  readonly cost: number;
  readonly modality: Modality | undefined;
}

/**
 * Checks that a node uses only values of earlier nodes, that widths agree, and each
 * op's own conditions.
 * @throws {RuntimeError} "graph"
 */
export function checkGraph(nodes: readonly Node[], info: ModelInfo): void {
  if (info.image?.nativeResolution) checkNative(nodes, info.image);
  const known = new Map<string, CheckedValue>();
  const streams: Checker["streams"] = new Map();
  let text = false;
  for (const node of nodes) {
    const refuse = (problem: string) =>
      fail("graph", `node ${quoted(node.id)} (${node.op})${problem}`);
    if (known.has(node.id)) {
      fail("graph", `two nodes have the id ${quoted(node.id)}`);
    }
    if (text && node.phase === "vision") {
      refuse(" belongs to the vision phase but follows the text phase");
    }
    text ||= node.phase === "text";
    known.set(node.id, checkNode(node, { info, known, streams, refuse }));
  }
  checkHead(nodes, info);
}

function checkNode(
  node: Node,
  { info, known, streams, refuse }: Pick<Checker, "info" | "streams"> & {
    readonly known: ReadonlyMap<string, CheckedValue>;
    readonly refuse: (problem: string) => never;
  },
): CheckedValue {
  const record = recordOf(node);
  const modality = "modality" in node ? node.modality : undefined;
  if (record.phase && node.phase !== record.phase) {
    refuse(
      `: phase must be "${record.phase}": current value is "${node.phase}"`,
    );
  }
  if (!info.image && (node.phase === "vision" || modality === "vision")) {
    refuse(" needs images, but the info has no image");
  }
  const inputs = inputsOf(node).map((id) => {
    const input = known.get(id);
    if (input?.width === undefined) {
      return refuse(` uses ${quoted(id)}, which no earlier node produces`);
    }
    const bridge = node.op === "residual_add" && modality === "vision";
    if (input.node.phase !== node.phase && !bridge) {
      refuse(` uses ${quoted(id)} of another phase`);
    }
    return input;
  });
  const fail = (problem: string) => refuse(`: ${problem}`);
  checkRules(node, record, fail);
  const rows = checkRows(node, record, inputs, refuse);
  if ("width" in node && node.width % 4 !== 0) {
    fail(`width must be a multiple of 4: current value is ${node.width}`);
  }
  const expect = (want: number, got: number, what: string) => {
    if (want !== got) fail(`${what} must be ${want}: current value is ${got}`);
  };
  const widths = inputs.map((input) => input.width!);
  record.check?.(node, { info, widths, streams, expect, fail });
  let cost = 1;
  const width = record.width
    ? record.width(node, (id) => {
      cost += known.get(id)!.cost;
      return known.get(id)!.width!;
    })
    : "width" in node
    ? node.width
    : undefined;
  if (width !== undefined && width > MAX_SIZE || cost > MAX_WIDTHS) {
    fail(
      `the width of its value must be at most ${MAX_SIZE} and depend on at most ${MAX_WIDTHS} nodes: it is ${width} and depends on ${cost}`,
    );
  }
  return { node, width, cost, modality: rows };
}

/** Checks the rules of optional fields. */
function checkRules(
  node: Node,
  { fields }: Op,
  fail: (problem: string) => never,
): void {
  const has = (key: string) =>
    (node as Readonly<Record<string, unknown>>)[key] !== undefined;
  for (const [key, { rules }] of Object.entries(fields)) {
    if (!rules || !has(key)) continue;
    if (rules.phase && rules.phase !== node.phase) {
      fail(`${key} is allowed in the ${rules.phase} phase only`);
    }
    if (rules.with && !has(rules.with)) {
      fail(`${key} must come with ${rules.with}`);
    }
    const other = rules.without?.find(has);
    if (other) fail(`${key} must come without ${other}`);
  }
}

/**
 * Checks that values with the rows of one modality are used only by rowwise ops and
 * by a `residual_add` of that modality.
 * @returns the modality of the node's own value; undefined where it has all rows
 */
function checkRows(
  node: Node,
  { rowwise }: Op,
  inputs: readonly CheckedValue[],
  refuse: (problem: string) => never,
): Modality | undefined {
  const own = "modality" in node ? node.modality : undefined;
  const given = new Set(inputs.map((input) => input.modality));
  const [rows] = given;
  const result = rowwise ? own ?? rows : undefined;
  if (given.size < 2 && rows === undefined) return result;
  const fits = node.op === "residual_add"
    ? own === rows
    : rowwise && result === rows;
  if (given.size > 1 || !fits) {
    const all = Object.values(OPS).filter((r: Op) => r.rowwise);
    refuse(
      ` cannot take the rows of ${
        [...given].map((m) => m ?? "all").join(" and ")
      }: only ${
        all.map((r) => r.op).join(", ")
      } accept the rows of one modality, and a residual_add of the same modality`,
    );
  }
  return result;
}

/** Checks that the last node computes the logits. */
function checkHead(nodes: readonly Node[], { vocabulary }: ModelInfo): void {
  const last = nodes.at(-1)!;
  if (last.op !== "linear" || last.phase !== "text") {
    fail(
      "graph",
      `its last node must be the head, a linear of the text phase: it is ${last.op}`,
    );
  }
  const { n } = logitsOf(nodes);
  if (n !== vocabulary) {
    fail(
      "graph",
      `its head has ${n} outputs for a vocabulary of ${vocabulary}`,
    );
  }
}

/** Checks a model of native resolution: square tokens, no extra rows, causal image tokens. */
function checkNative(nodes: readonly Node[], image: ImageInfo): void {
  if (!wholeTokens(image) || extraRows(nodes) > 0) {
    fail(
      "graph",
      `with nativeResolution, an image's ${image.tokens} tokens must be squares of its patches, without extra rows`,
    );
  }
  if (image.bidirectional) {
    fail(
      "graph",
      "with nativeResolution, an image's tokens cannot be bidirectional",
    );
  }
}
