/** A program needs only permission to read the model and the photo. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { toy, toyPixels } from "../agreement/toy_file.ts";

const PROGRAM = fromFileUrl(new URL("./caption.ts", import.meta.url));
const SOURCE = fromFileUrl(new URL("../../src/", import.meta.url));

Deno.test("captioning needs permission to read the model and the photo, and with threads the package; nothing else", async () => {
  const folder = await Deno.makeTempDir();
  const model = `${folder}/toy.safetensors`, photo = `${folder}/photo.rgb`;
  const audit = `${folder}/audit.jsonl`;

  /** Runs the program with leave to read `paths`; what it used stands in `asked`. */
  async function run(...paths: string[]) {
    const { code, stdout, stderr } = await new Deno.Command("deno", {
      args: [
        "run",
        "--no-prompt",
        "--no-check",
        `--allow-read=${paths}`,
        PROGRAM,
        model,
        photo,
      ],
      env: { NO_COLOR: "1", DENO_AUDIT_PERMISSIONS: audit },
    }).output();
    const text = (b: Uint8Array) => new TextDecoder().decode(b);
    const lines = (await Deno.readTextFile(audit)).trim().split("\n");
    await Deno.remove(audit);
    const asked = new Set(lines.map((line) => {
      const { permission, value } = JSON.parse(line);
      return `${permission} ${value}`;
    }));
    const [threads, ...answer] = text(stdout).split("\n");
    return { code, threads, answer, err: text(stderr), asked };
  }

  try {
    await Deno.writeFile(model, toy().bytes);
    await Deno.writeFile(photo, toyPixels(9).data);
    const files = [`read ${model}`, `read ${photo}`];
    const one = await run(model, photo);
    assertEquals([one.code, one.threads], [0, "1 threads"], one.err);
    assertEquals([...one.asked].sort(), [...files].sort());
    const two = await run(model, photo, SOURCE);
    assertEquals([two.code, two.threads], [0, "2 threads"], two.err);
    assertEquals(two.answer, one.answer);
    for (const asked of two.asked) {
      assert(
        files.includes(asked) || asked.startsWith(`read ${SOURCE}`),
        asked,
      );
    }
    const none = await run(photo);
    assert(none.code !== 0 && none.err.includes("NotCapable"), none.err);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
