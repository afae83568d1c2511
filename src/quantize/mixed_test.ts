import { assert, assertEquals } from "@std/assert";
import { TOY_PROMPT, toyModel, toyPatches } from "../../tests/toy.ts";
import { float64 } from "../graph/executor.ts";
import { load } from "../graph/run.ts";
import type { LinearNode } from "../graph/node.ts";
import { chooseBits, sensitivities } from "./mixed.ts";

const SAMPLE = { patches: toyPatches(1), ids: TOY_PROMPT, answer: [7, 8, 9] };
const four = () => 4;

/** Linears that sensitivities stand for, in order. */
function linears(): LinearNode[] {
  const { nodes } = toyModel();
  return nodes.filter((n): n is LinearNode => n.op === "linear").slice(0, -1);
}

Deno.test("sensitivities: every linear moves the end, fewer bits move it more", () => {
  const at = (bits: number) =>
    sensitivities(load(toyModel(), float64), SAMPLE, () => bits);
  const coarse = at(4), fine = at(8);
  assertEquals(coarse.length, linears().length);
  for (const [i, moved] of coarse.entries()) {
    assert(moved > 0 && moved > 20 * fine[i], `${linears()[i].id}: ${moved}`);
  }
});

Deno.test("chooseBits: the most sensitive per weight first, and never above the budget", () => {
  const model = toyModel(), all = linears();
  const size = (l: LinearNode) => l.n * l.k;
  const moved = all.map((l, i) => (i === 3 ? 100 : 1) * size(l));
  const total = all.reduce((sum, l) => sum + size(l), 0);
  for (const budget of [4, 4.2, 5, 6, 8]) {
    const chosen = chooseBits(model, moved, { bits: 8, budget }, four);
    const spent = all.reduce(
      (sum, l) => sum + size(l) * (chosen.get(l.weight) ?? 4),
      0,
    );
    assert(spent <= budget * total);
    assertEquals(chosen.has(all[3].weight), budget > 4, `${budget}`);
  }
  const most = chooseBits(model, moved, { bits: 8, budget: 8 }, four);
  assertEquals(most.size, all.length);
});
