/** The plan of a checkpoint before quantization has the memory of its model file. */
import { assertEquals } from "@std/assert";
import { planJson } from "../../src/cli/plan_text.ts";
import { planFor } from "../../src/execute/options.ts";
import { staticFamily } from "../agreement/family_file.ts";
import { openFamily } from "../golden/family.ts";

for (const name of ["internvl-toy", "qwen25vl-toy", "llama-toy"]) {
  Deno.test(`show --plan of a checkpoint folder: ${name}`, () => {
    const folder = new URL(`../golden/${name}/`, import.meta.url).pathname;
    const { memory, context } = JSON.parse(planJson(folder, 2));
    using family = openFamily(name);
    const { model } = staticFamily(family, "w4a8");
    const made = planFor(model, family.plan, { threads: 2 });
    assertEquals(context, made.context);
    const { process: _, memories, ...parts } = memory;
    assertEquals(parts, { ...made.memory });
    assertEquals(memories, made.memories.map((m) => m.bytes));
  });
}
