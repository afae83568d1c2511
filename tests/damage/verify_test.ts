/** `inspect FILE --verify` as a process. */
import { assertEquals, assertMatch } from "@std/assert";
import { toy } from "../agreement/toy_file.ts";
import { run } from "../hostile_cli/run.ts";
import { unsealed } from "./unsealed.ts";

Deno.test("inspect --verify: whole, damaged, without checksums", async () => {
  const path = Deno.makeTempFileSync({ suffix: ".safetensors" });
  const verify = async (bytes: Uint8Array) => {
    Deno.writeFileSync(path, bytes);
    return await run(["inspect", path, "--verify"]);
  };
  try {
    const { bytes } = toy();
    const good = await verify(bytes);
    assertEquals([good.code, good.err], [0, ""]);
    assertMatch(good.out, /header and \d+ tensors match their checksums\n$/);
    const copy = bytes.slice();
    copy[copy.length - 1] ^= 4;
    const bad = await verify(copy);
    assertEquals([bad.code, bad.out], [1, ""]);
    assertMatch(bad.err, /^Cannot open .* damaged, copy it again\n$/);
    const without = unsealed(bytes);
    const demanded = await verify(without);
    assertEquals(demanded.code, 1);
    assertMatch(demanded.err, /requires checksums/);
    const text = new TextDecoder("latin1").decode(without)
      .replace('"mquant/2"', '"mquant/1"'); // which need not have them
    const old = await verify(Uint8Array.from(text, (c) => c.charCodeAt(0)));
    assertEquals(old.code, 1);
    assertMatch(old.err, /it has no checksums.*; quantize/);
  } finally {
    Deno.removeSync(path);
  }
});
