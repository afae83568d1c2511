import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { escape, plot, ticksOf } from "./plot.ts";
import { reportPage } from "./page.ts";
import { addSpread, beyond, normalBeyond, spread } from "./spread.ts";

Deno.test("ticks are round numbers within the axis, powers of ten where it is logarithmic", () => {
  const texts = (from: number, to: number, log = false) =>
    ticksOf({ label: "", from, to, log }).map((t) => t.text);
  assertEquals(texts(0, 50), ["0", "10", "20", "30", "40", "50"]);
  assertEquals(texts(-3, 34), ["0", "5", "10", "15", "20", "25", "30"]);
  assertEquals(texts(0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
  assertEquals(texts(0.001, 1, true), ["0.001", "0.01", "0.1", "1"]);
  assertEquals(texts(1e-8, 1, true), ["10⁻⁸", "10⁻⁶", "10⁻⁴", "10⁻²", "1"]);
});

Deno.test("a plot puts its marks where the axes say, and names are no markup", () => {
  const svg = plot(
    'a "<b>"',
    { label: "x", from: 0, to: 10 },
    { label: "y", from: 1, to: 100, log: true },
    [{
      name: "s",
      colour: 0,
      draw: "dots",
      points: [{ x: 0, y: 1 }, { x: 10, y: 100, title: "<i>" }, {
        x: 5,
        y: 10,
      }],
    }],
  );
  const marks = [...svg.matchAll(/cx="([\d.]+)" cy="([\d.]+)"/g)]
    .map((m) => [Number(m[1]), Number(m[2])]);
  assertEquals(marks, [[46, 204], [392, 10], [219, 107]]);
  assert(svg.includes('aria-label="a &quot;&lt;b&gt;&quot;"'));
  assert(svg.includes("<title>&lt;i&gt;</title>") && !svg.includes("<i>"));
  assertEquals(escape("a & b"), "a &amp; b");
});

Deno.test("spread: in units of each tensor's own deviation; a normal one lies on the curve", () => {
  const s = spread();
  addSpread(s, [3, -3, 3, -3]); // all at one deviation
  addSpread(s, new Float32Array(4)); // nothing to tell
  addSpread(s, [0, 0, 0, 8]); // one at two deviations
  assertEquals([s.total, s.most], [8, 2]);
  const at = new Map(beyond(s));
  assertEquals([at.get(0), at.get(1), at.get(1.25), at.get(2), at.get(2.25)], [
    1,
    5 / 8,
    1 / 8,
    1 / 8,
    undefined,
  ]);
  const normal = new Map(normalBeyond(3));
  assertAlmostEquals(normal.get(1)!, 0.31731, 1e-4);
  assertAlmostEquals(normal.get(3)!, 0.0027, 1e-4);
});

Deno.test("the page is one file: no script, no address of anything else, all sections", () => {
  const both = () => {
    const before = spread(), after = spread();
    addSpread(before, [1, 2, 30]);
    addSpread(after, [1, 2, 3]);
    return { before, after };
  };
  const page = reportPage({
    title: "a <model>",
    facts: [["file", "x"]],
    quality: [["CIDEr-D", "0.55", "0.56"]],
    scales: [{ site: "text.0.norm", vision: 0.01, text: 0.03 }],
    sites: [
      {
        site: "v",
        phase: "vision",
        modality: "vision",
        sqnr: 30,
        saturated: 0,
        count: 1,
      },
      {
        site: "t",
        phase: "text",
        modality: "vision",
        sqnr: 20,
        saturated: 0.5,
        count: 1,
      },
      {
        site: "t",
        phase: "text",
        modality: "text",
        sqnr: 25,
        saturated: 0,
        count: 1,
      },
    ],
    weights: both(),
    activations: { vision: both(), text: both() },
    ablation: [{ step: "rtn", kl: 0.02 }, { step: "+gptq", kl: 0.01 }],
    missing: ["nothing & all"],
  });
  for (
    const text of [
      "a &lt;model&gt;",
      "Vision tower",
      "Text tower, image rows",
      "Text tower, text rows",
      "a factor of 3.0",
      "Activations, text rows",
      "Divergence from float",
      "inline-size:50.0%",
      "50.000 %",
      "nothing &amp; all",
    ]
  ) assert(page.includes(text), text);
  assert(!/<script|https?:|src=|href=|@import|url\(/.test(page));
  assertEquals(page.match(/<svg/g)?.length, 7);
  assertEquals(page.match(/role="img" aria-label="[^"]{10,}"/g)?.length, 7);
});
