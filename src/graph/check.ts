/**
 * What a graph promises beyond its fields: every value is made before it is
 * used, widths agree, and each op's own check holds.
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

/** Most nodes from whose widths the width of a value may follow: a bound of every later question for it. */
const MAX_WIDTHS = 1024;

/** What is known of a value while a graph is checked. */
interface Made {
  readonly node: Node;
  readonly width: number | undefined;
  /** Nodes from whose widths its own follows, itself counted. */
  readonly cost: number;
  readonly modality: Modality | undefined;
}

/**
 * Checks references and widths: every value is made before it is used, widths
 * agree, and each op's own check holds.
 * @throws {RuntimeError} "graph"
 */
export function checkGraph(nodes: readonly Node[], info: ModelInfo): void {
  if (info.image?.nativeResolution) checkNative(nodes, info.image);
  const made = new Map<string, Made>();
  const streams: Checker["streams"] = new Map();
  let text = false;
  for (const node of nodes) {
    const refuse = (problem: string) =>
      fail("graph", `node ${quoted(node.id)} (${node.op})${problem}`);
    if (made.has(node.id)) {
      fail("graph", `two nodes have the id ${quoted(node.id)}`);
    }
    if (text && node.phase === "vision") {
      refuse(" is of the vision phase but follows the text phase");
    }
    text ||= node.phase === "text";
    made.set(node.id, checkNode(node, { info, made, streams, refuse }));
  }
  checkHead(nodes, info);
}

function checkNode(
  node: Node,
  { info, made, streams, refuse }: Pick<Checker, "info" | "streams"> & {
    readonly made: ReadonlyMap<string, Made>;
    readonly refuse: (problem: string) => never;
  },
): Made {
  const record = recordOf(node);
  const modality = "modality" in node ? node.modality : undefined;
  if (record.phase && node.phase !== record.phase) {
    refuse(
      `: phase must be "${record.phase}": current value is "${node.phase}"`,
    );
  }
  if (!info.image && (node.phase === "vision" || modality === "vision")) {
    refuse(" is for images, and its info has no image");
  }
  const inputs = inputsOf(node).map((id) => {
    const input = made.get(id);
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
      cost += made.get(id)!.cost;
      return made.get(id)!.width!;
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

/** Whether fields that may be missing may be there. */
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
      fail(`${key} must be of the ${rules.phase} phase`);
    }
    if (rules.with && !has(rules.with)) {
      fail(`${key} must come with ${rules.with}`);
    }
    const other = rules.without?.find(has);
    if (other) fail(`${key} must come without ${other}`);
  }
}

/** Values that have the rows of one modality only go where their rows are known; the modality of what the node makes. */
function checkRows(
  node: Node,
  { rowwise }: Op,
  inputs: readonly Made[],
  refuse: (problem: string) => never,
): Modality | undefined {
  const asked = "modality" in node ? node.modality : undefined;
  const given = new Set(inputs.map((input) => input.modality));
  const [rows] = given;
  const makes = rowwise ? asked ?? rows : undefined;
  if (given.size < 2 && rows === undefined) return makes;
  const fits = node.op === "residual_add"
    ? asked === rows
    : rowwise && makes === rows;
  if (given.size > 1 || !fits) {
    const all = Object.values(OPS).filter((r: Op) => r.rowwise);
    refuse(
      ` cannot take the rows of ${
        [...given].map((m) => m ?? "all").join(" and ")
      }: only ${
        all.map((r) => r.op).join(", ")
      } go on with the rows of one modality, and a residual_add of the same`,
    );
  }
  return makes;
}

/** The last node must make the logits. */
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

/** Images that keep their shape: whole squares of patches, nothing behind them. */
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
