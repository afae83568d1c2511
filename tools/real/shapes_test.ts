/** Shapes that follow from config.json alone are those of the published models. */
import { assertEquals } from "@std/assert";
import { REAL, realCheckpoint } from "../../tests/models/real.ts";
import { shallow, shapesOf } from "./checkpoint.ts";

/** Whose tensors have the names of a newer layout, or whose shapes are not known without weights. */
const OTHERS =
  /^(InternVL3|LFM2|Gemma|LLaVA|JoyCaption|Qwen-VL|MiniCPM|GLM|CogVLM|moondream)/;

for (const name of REAL.filter((name) => !OTHERS.test(name))) {
  Deno.test(`${name}: names and shapes from config.json`, () => {
    const { config, tensors } = realCheckpoint(name);
    const want = [...tensors].map(([n, { shape }]) => [n, [...shape]]).sort();
    const got = [...shapesOf(config)].map(([n, s]) => [n, [...s]]).sort();
    assertEquals(got, want);
  });
}

Deno.test("fewer layers: counts and lists of each tower follow", () => {
  assertEquals(
    shallow({
      num_hidden_layers: 30,
      layer_types: ["a", "b", "c"],
      vision_config: { depth: 1, deepstack_visual_indexes: [5, 11], k: [9] },
    }, 2),
    {
      num_hidden_layers: 2,
      layer_types: ["a", "b"],
      vision_config: { depth: 1, deepstack_visual_indexes: [1], k: [9] },
    },
  );
});
