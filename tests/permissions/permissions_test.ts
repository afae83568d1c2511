/** What a program needs leave for: to read the model and the photo, nothing else. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { toy, toyPixels } from "../agreement/toy_file.ts";

const PROGRAM = new URL("./caption.ts", import.meta.url);
const SOURCE = fromFileUrl(new URL("../../src/", import.meta.url));

async function run(model: string, photo: string, ...flags: string[]) {
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      ...flags,
      fromFileUrl(PROGRAM),
      model,
      photo,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const text = (b: Uint8Array) => new TextDecoder().decode(b);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("a photo is captioned with leave to read it and the model; threads need the package too", async () => {
  const folder = await Deno.makeTempDir();
  const model = `${folder}/toy.safetensors`, photo = `${folder}/photo.rgb`;
  try {
    await Deno.writeFile(model, toy().bytes);
    await Deno.writeFile(photo, toyPixels(9));
    const one = await run(model, photo, `--allow-read=${model},${photo}`);
    assertEquals(one.code, 0, one.err);
    assertEquals(one.out.split("\n")[0], "1 threads");
    const two = await run(
      model,
      photo,
      `--allow-read=${model},${photo},${SOURCE}`,
    );
    assertEquals(two.code, 0, two.err);
    assertEquals(two.out.split("\n")[0], "2 threads");
    assertEquals(two.out.split("\n").slice(1), one.out.split("\n").slice(1));
    const none = await run(model, photo, `--allow-read=${photo}`);
    assert(none.code !== 0 && none.err.includes("NotCapable"), none.err);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
