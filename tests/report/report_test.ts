/** The report in Chromium, as a user reads it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { toFileUrl } from "@std/path";
import { openPage, withoutChromium } from "../browser/chromium.ts";
import { ROOT } from "../hostile_cli/run.ts";

const TOY = "tests/golden/smolvlm-toy", PHOTOS = "models/photo-mini/photos";

async function mquant(
  ...args: string[]
): Promise<{ code: number; err: string }> {
  const { code, stderr } = await new Deno.Command("deno", {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "src/cli/main.ts",
      ...args,
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, err: new TextDecoder().decode(stderr) };
}

Deno.test({
  name:
    "the report of a toy: every section, on a phone and a desk, light and dark",
  ignore: withoutChromium("the report"),
  async fn() {
    const folder = Deno.makeTempDirSync();
    try {
      const model = `${folder}/toy.safetensors`, out = `${folder}/report.html`;
      const made = await mquant(
        "quantize",
        TOY,
        `--calibration=${PHOTOS}`,
        "--samples=2",
        `--out=${model}`,
      );
      assertEquals(made.code, 0, made.err);
      const ablation = `${folder}/ablation.jsonl`;
      Deno.writeTextFileSync(
        ablation,
        '{"step":"rtn","kl":0.02,"cider":0.1}\n{"step":"+gptq","kl":0.01,"cider":0.2}\n',
      );
      const { code, err } = await mquant(
        "report",
        model,
        `--checkpoint=${TOY}`,
        `--photos=${PHOTOS}`,
        "--samples=1",
        `--ablation=${ablation}`,
        `--out=${out}`,
      );
      assertEquals(code, 0, err);
      assertMatch(err, /report\.html: [\d.]+ kB\n$/);
      for (const colorScheme of ["light", "dark"] as const) {
        for (const width of [360, 1200]) {
          const viewport = { width, height: 800 };
          await using opened = await openPage(toFileUrl(out).href, {
            colorScheme,
            viewport,
          });
          const { page, errors } = opened;
          assertEquals(errors, []);
          assertEquals(await page.locator("h2").allTextContents(), [
            "The file",
            "Error of each site",
            "Scale per modality",
            "Before and after rotation",
            "Ablation",
            "What is not here",
          ]);
          const wide = await page.evaluate(
            "document.documentElement.scrollWidth",
          );
          assert(Number(wide) <= width, `${wide} pixels on ${width}`);
          assertEquals(await page.getByRole("img").count(), 7);
          const marks = await page.locator("circle.dot").count();
          assert(marks > 30, `${marks} marks`);
          const [paper, ink] = await page.evaluate(
            "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.documentElement))",
          ) as [string, string];
          const light = (c: string) => Number(c.match(/\d+/)![0]) > 128;
          assertEquals([light(paper), light(ink)], [
            colorScheme === "light",
            colorScheme === "dark",
          ]);
        }
      }
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

Deno.test("what report cannot read is told in a sentence, and no page is written", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const out = `${folder}/report.html`, bad = `${folder}/bad.json`;
    Deno.writeTextFileSync(bad, "[1]\n");
    const cases: [string, RegExp][] = [
      [
        `--ablation=${folder}/none`,
        /Cannot read ".*none": there is no such file/,
      ],
      [
        `--ablation=${bad}`,
        /Cannot read ".*bad\.json": it is not a JSON object/,
      ],
      [`--eval=${bad}`, /Cannot read ".*bad\.json": it is not what eval/],
      [`--photos=${folder}`, /there is no JPEG, PNG or WebP in it/],
      ["--samples=0", /--samples must be a whole number from 1 to 64/],
    ];
    for (const [option, want] of cases) {
      const { code, err } = await mquant("report", option, `--out=${out}`);
      assert(code === 1 || code === 2, `${option}: ${code}`);
      assertMatch(err, want);
    }
    assertEquals([...Deno.readDirSync(folder)].map((e) => e.name), [
      "bad.json",
    ]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
