/** From a checkpoint to a model file to numbers, on the toy checkpoint. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { open } from "../mod.ts";
import { parse } from "./command.ts";
import evaluate from "./eval.ts";
import { type Io, processIo } from "./io.ts";
import { BUNDLE } from "./model_path.ts";
import { RECIPE_NOTES } from "./quantize_options.ts";
import quantize from "./quantize.ts";
import { RECIPES } from "../quantize/recipe.ts";

const CHECKPOINT = fromFileUrl(
  new URL("../../tests/golden/smolvlm-toy", import.meta.url),
);
const PHOTOS = fromFileUrl(new URL("photos", BUNDLE));

/** An `Io` that keeps what is written. */
function recorder(): Io & { text(): string; messages(): string } {
  let out = "", err = "";
  return {
    ...processIo(),
    out: (t) => void (out += t),
    err: (t) => void (err += t),
    status() {},
    text: () => out,
    messages: () => err,
  };
}

Deno.test("quantizing a checkpoint twice gives the same bytes, and eval compares its captions with float", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const files = ["a", "b"].map((n) => `${folder}/${n}.safetensors`);
    for (const out of files) {
      const io = recorder();
      const args = [
        CHECKPOINT,
        `--calibration=${PHOTOS}`,
        `--out=${out}`,
        "--samples=2",
      ];
      const { values, operands } = parse(quantize, args);
      assertEquals(await quantize.run(operands, values as never, io), 0);
      assertEquals(io.text(), "");
      assert(io.messages().startsWith(`${out}: `));
    }
    const [a, b] = files.map((f) => Deno.readFileSync(f));
    assertEquals(a, b);

    Deno.mkdirSync(`${folder}/images`);
    const photos = ["astronaut.jpg", "cat.jpg"];
    for (const file of photos) {
      Deno.copyFileSync(`${PHOTOS}/${file}`, `${folder}/images/${file}`);
    }
    const references = photos.map((file) => ({ file, captions: ["a photo"] }));
    Deno.writeTextFileSync(
      `${folder}/captions.json`,
      JSON.stringify(references),
    );
    Deno.writeTextFileSync(
      `${folder}/questions.json`,
      JSON.stringify([{
        file: "cat.jpg",
        question: "What is this?",
        answers: ["a cat"],
      }]),
    );
    Deno.writeTextFileSync(`${folder}/text.txt`, "a cat and a dog ".repeat(99));
    const io = recorder();
    const { values, operands } = parse(evaluate, [
      folder,
      `--model=${files[0]}`,
      `--checkpoint=${CHECKPOINT}`,
      "--max-tokens=4",
      "--windows=1",
      "--threads=1",
      "--json",
    ]);
    assertEquals(await evaluate.run(operands, values as never, io), 0);
    const result = JSON.parse(io.text());
    const scores = { cider: 0, bleu4: 0, rougeL: 0 };
    assertEquals(Object.keys(result.float), Object.keys(scores));
    assertEquals(Object.keys(result.quantized), Object.keys(scores));
    assert([0, 0.5, 1].includes(result.identical));
    assertEquals(result.images, 2);
    const { float, quantized: ours, tokens: read } = result.text;
    assert(read > 100 && read < 256, `${read}`);
    assert(Math.abs(Math.log(ours / float)) < 1, `${ours} of ${float}`);
    const { top1, kl, tokens } = result.agreement;
    assert(top1 >= 0.5 && top1 <= 1 && kl > 0 && kl < 1, `${top1} ${kl}`);
    assert(tokens >= 2);
    assertEquals(
      Object.keys(result.vqa),
      ["float", "quantized", "questions"],
    );
    for (const { site, sqnr, saturated } of result.sites) {
      assert(sqnr > 3 && saturated < 0.2, `${site}: ${sqnr} dB, ${saturated}`);
    }
    assert(result.sites.length > 20);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a model that reads text only is calibrated with windows of a text", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const toy = new URL("../../tests/golden/llama-toy", import.meta.url);
    const text = `${folder}/text.txt`, out = `${folder}/out.safetensors`;
    Deno.writeTextFileSync(
      text,
      "A black dog runs through the grass. ".repeat(99),
    );
    const run = async (calibration: string) => {
      const io = recorder();
      const args = [fromFileUrl(toy), "--samples=2", `--out=${out}`];
      args.push(`--calibration=${calibration}`);
      const { values, operands } = parse(quantize, args);
      return await quantize.run(operands, values as never, io);
    };
    assertEquals(await run(text), 0);
    await using session = await open(out, { threads: 1 });
    const { tokens } = await session.chat([{ role: "user", content: "Hi" }], {
      maxTokens: 4,
    });
    assertEquals(tokens.length, 4);
    await assertRejects(() => run(folder), RangeError, "is text-only");
    Deno.writeTextFileSync(text, "short");
    await assertRejects(() => run(text), RangeError, "at least 256 tokens");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("--help says of each recipe what it is", () => {
  for (const name of Object.keys(RECIPES)) {
    assert(RECIPE_NOTES.includes(`\n  ${name} `), name);
  }
});
