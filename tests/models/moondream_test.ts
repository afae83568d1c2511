/** Moondream 3 names moondream2's model_type: it is refused by its config or by its tensors. */
import { assertThrows } from "@std/assert";
import { describe } from "../../src/models/mod.ts";
import { constant } from "../../src/tensor/tensor.ts";
import { realCheckpoint } from "./real.ts";

Deno.test("a mixture of experts is refused by name", () => {
  const now = realCheckpoint("moondream2");
  describe(now);
  const refused = (checkpoint: typeof now) =>
    assertThrows(() => describe(checkpoint), RangeError, "Moondream 3");
  const moe = { num_experts: 64, start_layer: 4 };
  refused({ ...now, config: { ...now.config, config: { text: { moe } } } });
  for (const name of ["4.mlp.router.weight", "0.attn.tau.wq"]) {
    const tensors = new Map(now.tensors)
      .set(`model.text.blocks.${name}`, constant([1, 1], [0]));
    refused({ ...now, tensors });
  }
});
