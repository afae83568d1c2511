/**
 * Model files with flipped bytes: refused with a typed error, or they run; they never
 * crash or hang.
 */
import { assert } from "@std/assert";
import { open } from "../../src/mod.ts";
import { random, uniform } from "../../src/tensor/random.ts";
import { toy, toyPixels } from "../agreement/toy_file.ts";
import { unsealed } from "../damage/unsealed.ts";

const TYPED = /^(FormatError|RuntimeError|TokenizerError|ImageError)$/;
const IMAGE = toyPixels(9);

Deno.test("120 damaged model files", async () => {
  const bytes = unsealed(toy({ tied: false }).bytes);
  const header = 8 +
    Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const next = random(11), draw = (n: number) => Math.floor(uniform(next) * n);
  let refused = 0, answered = 0;
  for (let i = 0; i < 120; i++) {
    const copy = bytes.slice();
    for (let n = 1 << draw(6); n > 0; n--) {
      // half in the header, where every byte means something
      const at = draw(2) === 0 ? draw(header) : draw(copy.length);
      copy[at] = draw(2) === 0 ? draw(256) : copy[at] ^ (1 << draw(8));
    }
    try {
      await using session = await open(copy, { threads: 1, verify: false });
      await session.caption(IMAGE, { maxTokens: 2 });
      answered++;
    } catch (error) {
      assert(
        TYPED.test((error as Error).name),
        `${i}: ${(error as Error).stack}`,
      );
      refused++;
    }
  }
  assert(
    refused > 30 && answered > 5,
    `${refused} refused, ${answered} answered`,
  );
});

Deno.test("weights and scales of nonsense: an answer or a typed error", async () => {
  const bytes = unsealed(toy({ tied: false }).bytes);
  const header = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const table = JSON.parse(new TextDecoder().decode(bytes.subarray(8, header)));
  const next = random(12), draw = (n: number) => Math.floor(uniform(next) * n);
  const odd = [NaN, Infinity, -1, 0, 1e38, 1e-45, 3.4e38];
  for (let i = 0; i < 40; i++) {
    const copy = bytes.slice(), view = new DataView(copy.buffer);
    const floats = Object.values<{ dtype: string; data_offsets: number[] }>(
      table,
    )
      .filter((e) => e.dtype === "F32");
    for (let n = 0; n < 4; n++) {
      const [begin, end] = floats[draw(floats.length)].data_offsets;
      view.setFloat32(
        header + begin + 4 * draw((end - begin) / 4),
        odd[draw(odd.length)],
        true,
      );
    }
    try {
      await using session = await open(copy, { threads: 1, verify: false });
      await session.caption(IMAGE, { maxTokens: 2, temperature: i % 2 });
    } catch (error) {
      assert(
        TYPED.test((error as Error).name),
        `${i}: ${(error as Error).stack}`,
      );
    }
  }
});
