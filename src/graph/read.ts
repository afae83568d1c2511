/**
 * Reads graph, info, bits and groups of a model file as untrusted input: every field
 * of every node is checked against the record of its op (ops/), and unknown fields
 * are errors.
 * @module
 */
import { quoted } from "../format/error.ts";
import {
  parseStrictJson,
  type StrictJson,
  StrictJsonError,
} from "../format/strict_json.ts";
import { GROUP_UNIT } from "../kernels/layout.ts";
import type { RuntimeErrorCode } from "./error.ts";
import { choice, fail, name, readFields, shown, size } from "./field.ts";
import { infoOf, type ModelInfo } from "./info.ts";
import { type Node, OPS } from "./ops/mod.ts";

/** Largest number of nodes of a graph. */
export const MAX_NODES = 65_536;

function parse(code: RuntimeErrorCode, what: string, json: string): StrictJson {
  try {
    return parseStrictJson(json, { depth: 6, values: 40 * MAX_NODES });
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    return fail(code, `its ${what} ${error.message}`);
  }
}

/** Fields that every node has. */
export const BASE_FIELDS = {
  op: name("name of the op"),
  id: name("names the node's value; no two nodes share it"),
  phase: choice(["vision", "text"])(
    "when it runs: once per image, or once per chunk of tokens",
  ),
};

/** Reads the nodes of the graph; `checkGraph` checks their references. */
export function readNodes(json: string): Node[] {
  const list = parse("graph", "graph", json);
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_NODES) {
    return fail("graph", `its graph must be a list of 1 to ${MAX_NODES} nodes`);
  }
  return list.map((item, i) => {
    const op = item instanceof Map ? item.get("op") : undefined;
    if (typeof op !== "string" || !Object.hasOwn(OPS, op)) {
      return fail(
        "graph",
        `node ${i} has the unknown op ${
          quoted(String(op))
        }; this version knows ${Object.keys(OPS).join(", ")}`,
      );
    }
    return readFields(
      "graph",
      `node ${i} (${op})`,
      item as ReadonlyMap<string, StrictJson>,
      {
        ...BASE_FIELDS,
        ...OPS[op as keyof typeof OPS].fields,
      },
    ) as unknown as Node;
  });
}

/** Reads the info of the model. */
export function readInfo(json: string): ModelInfo {
  const map = parse("info", "info", json);
  if (!(map instanceof Map)) return fail("info", "its info must be an object");
  return infoOf(map);
}

/** Reads the columns per quantization group, by weight. */
export function readGroups(json: string): Map<string, number> {
  return numbers("groups", json, (name, group) => {
    const columns = size("").read(group);
    if (columns !== undefined && columns % GROUP_UNIT === 0) return columns;
    return fail(
      "bits",
      `the group of ${
        quoted(name)
      } must be a multiple of ${GROUP_UNIT}: current value is ${shown(group)}`,
    );
  });
}

/** Reads the bits of every integer weight. */
export function readBits(json: string): Map<string, number> {
  return numbers("bits", json, (name, bits) => {
    if ([4, 5, 6, 7, 8].includes(bits as number)) return bits as number;
    return fail(
      "bits",
      `bits of ${quoted(name)} must be 4 to 8: current value is ${shown(bits)}`,
    );
  });
}

function numbers(
  what: string,
  json: string,
  read: (name: string, value: StrictJson) => number,
): Map<string, number> {
  const map = parse("bits", what, json);
  if (!(map instanceof Map)) {
    return fail("bits", `its ${what} must be an object`);
  }
  return new Map([...map].map(([name, value]) => [name, read(name, value)]));
}
