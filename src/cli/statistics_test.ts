import { assertEquals } from "@std/assert";
import { writeModelFile } from "../format/write_model.ts";
import { openCheckpoint } from "../format/checkpoint.ts";
import { numbersOf, statistics } from "./statistics.ts";

Deno.test("4-bit values are unpacked, low nibble first, with their sign", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/a.safetensors`;
    writeModelFile(path, {
      metadata: { bits: '{"w":4}' },
      tensors: [{
        name: "w",
        dtype: "U8",
        shape: [1, 2],
        data: () => Uint8Array.of(0x8f, 0x70),
      }],
      assets: {},
    });
    using file = openCheckpoint(path);
    const values = numbersOf(file, "w");
    assertEquals([...values], [-1, -8, 0, 7]);
    assertEquals(statistics(values), {
      count: 4,
      least: -8,
      greatest: 7,
      mean: -0.5,
      deviation: Math.sqrt((0.25 + 56.25 + 0.25 + 56.25) / 4),
      zeros: 1,
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
