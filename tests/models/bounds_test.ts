/**
 * No step of a plan accesses memory outside its buffers, for every family's plan, the
 * longest chunks and the largest images: the sizes come from the kernels' signatures.
 */
import { assert, assertEquals } from "@std/assert";
import { defaultGrid, maxPatches, tokensIn } from "../../src/graph/grid.ts";
import { windowsOf } from "../../src/graph/windows.ts";
import { outOfBounds } from "../../src/plan/bounds.ts";
import type { ListName } from "../../src/plan/lists.ts";
import type { DraftStep } from "../../src/plan/lower/context.ts";
import { plan } from "../../src/plan/plan.ts";
import { setChunk, setImage } from "../../src/plan/registers.ts";
import { REGISTER } from "../../src/plan/step.ts";
import { setWindows } from "../../src/plan/windows.ts";
import { staticFamily } from "../agreement/family_file.ts";
import { FAMILIES, openFamily } from "../golden/family.ts";

/** Steps of all lists of a family's plan, and registers of the largest runs of each list. */
function planned(name: string) {
  using family = openFamily(name);
  const { model } = staticFamily(family, "w4a8");
  const lists = new Map<ListName, readonly DraftStep[]>();
  const made = plan(model, {
    context: 128,
    threads: 2,
    pixelTable: () => new Int8Array(768),
    inspect: (list, steps) => lists.set(list, steps),
  });
  const registers = () => new Int32Array(made.registers);
  const { chunk, context, windows } = made, { image } = model.info;
  const runs: [ListName, Int32Array][] = [];
  const take = (
    list: ListName,
    imageRows: number,
    textRows: number,
  ) => {
    const r = registers(), rows = imageRows + textRows;
    setChunk(r, { imageRows, textRows, slot: context - rows, last: rows - 1 });
    runs.push([list, r]);
  };
  take("decode", 0, 1);
  for (const rows of image ? [0, 1, chunk / 2, chunk - 1] : [0]) {
    take("prefill", rows, chunk - rows);
  }
  if (image) {
    const own = defaultGrid(image), r = registers();
    setImage(r, own, tokensIn(image, own));
    if (windows) {
      setWindows(r, windowsOf(own, windows.side, 2), windows);
    }
    assert(r[REGISTER.rows] <= maxPatches(image));
    runs.push(["vision", r]);
  }
  return { lists, runs };
}

for (const name of FAMILIES) {
  Deno.test(`every operand lies in its buffer: ${name}`, () => {
    const { lists, runs } = planned(name);
    let checked = 0;
    for (const [list, registers] of runs) {
      for (const step of lists.get(list)!) {
        assertEquals(outOfBounds(step, registers), undefined);
        checked++;
      }
    }
    assert(checked > 20);
  });
}

Deno.test("an operand that ends behind its buffer is found", () => {
  const { lists, runs } = planned("llama-toy");
  const [list, registers] = runs.find(([l]) => l === "prefill")!;
  const step = lists.get(list)!.find((s) => s.kernel === "gemm_w4a8")!;
  const longer = registers.slice();
  longer[REGISTER.rows]++;
  longer[REGISTER.textRows]++;
  const found = outOfBounds(step, longer);
  assert(found?.includes("y ends at"), found);
});
