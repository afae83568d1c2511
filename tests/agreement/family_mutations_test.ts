/**
 * Graphs of all families with fields changed at random: planned, or refused with a
 * typed error; no other exception is thrown.
 */
import { assert, assertEquals } from "@std/assert";
import { type Model, type Node, rowsPerImage } from "../../src/graph/node.ts";
import { recordOf } from "../../src/graph/ops/mod.ts";
import { RECIPES } from "../../src/quantize/recipe.ts";
import { checkGraph } from "../../src/graph/check.ts";
import { tensorsOf } from "../../src/graph/tensors.ts";
import { RuntimeError } from "../../src/graph/error.ts";
import { planFor } from "../../src/execute/options.ts";
import { readInfo, readNodes } from "../../src/graph/read.ts";
import type { StaticModel } from "../../src/graph/static_model.ts";
import { random, uniform } from "../../src/tensor/random.ts";
import { FAMILIES, openFamily } from "../golden/family.ts";

const PIXELS = { rescale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1] } as const;
const NO_SIZES = { vocabulary: 1, rows: 1, prefix: 0 };
const VALUES = [
  ...[0, -1, 1, 3, 4, 8, 16, 17, 2 ** 24, 2 ** 32, 1e308, null, true, "", "x"],
  ...[[], {}, [0, 4], [4, 48], [1, 1, 2], [4, 2, 2], ["q"]],
];

/** What reading and planning a file of that graph does, weights left out. */
function plan(graph: unknown, info: unknown) {
  const nodes = readNodes(JSON.stringify(graph));
  const known = readInfo(JSON.stringify(info));
  const bits = new Map<string, number>();
  for (const node of nodes) {
    for (const use of recordOf(node).tensors?.(node, NO_SIZES) ?? []) {
      if (use.kind === "weight") bits.set(use.name, 8);
    }
  }
  checkGraph(nodes, known);
  const specs = tensorsOf(nodes, known, bits);
  const ones = (name: string) =>
    new Float32Array(specs.get(name)!.shape.reduce((a, b) => a * b, 1)).fill(1);
  const model: StaticModel = {
    file: {
      tensor: (name: string) => specs.get(name)!,
    } as unknown as StaticModel["file"],
    nodes,
    info: known,
    bits,
    groups: new Map(),
    floats: ones,
    scales: ones,
  };
  return planFor(model, PIXELS, { threads: 2, context: 64 });
}

function ready(model: Model): Model {
  return RECIPES.w8a8.passes.reduce((m, pass) => pass.apply(m), model);
}

for (const name of FAMILIES) {
  Deno.test(`300 mutated graphs of ${name}`, () => {
    using family = openFamily(name);
    const { nodes, info } = ready(family.files.model);
    assert(!info.image || rowsPerImage(nodes, info) > 0);
    assertEquals(plan(nodes, info).vision !== undefined, "image" in info);
    const next = random(7), draw = (n: number) => Math.floor(uniform(next) * n);
    let planned = 0;
    for (let i = 0; i < 300; i++) {
      const graph = structuredClone(nodes) as unknown as Record<
        string,
        unknown
      >[];
      for (let n = draw(2); n >= 0; n--) {
        const at = draw(graph.length), node = graph[at];
        const keys = Object.keys(node), key = keys[draw(keys.length)];
        switch (draw(5)) {
          case 0:
            graph.splice(at, 1);
            break;
          case 1:
            graph.splice(draw(graph.length), 0, { ...node });
            break;
          case 2: {
            const other = graph[draw(graph.length)] as unknown as Node;
            Object.assign(node, { [key]: Reflect.get(other, key) });
            break;
          }
          default:
            node[key] = VALUES[draw(VALUES.length)];
        }
      }
      try {
        plan(graph, info);
        planned++;
      } catch (error) {
        assert(
          error instanceof RuntimeError,
          `${JSON.stringify(graph).slice(0, 2000)}\n${error}`,
        );
      }
    }
    assert(planned > 5 && planned < 295, `${planned} were planned`);
  });
}
