/**
 * The report as one HTML page without scripts, fonts or files from elsewhere.
 * @module
 */
import type { SiteRow } from "../sites.ts";
import {
  type Axis,
  escape,
  htmlTable,
  legend,
  plot,
  type Series,
} from "./plot.ts";
import { beyond, normalBeyond, type Spread } from "./spread.ts";

/** The static scales of one site of the text phase, per modality. */
export interface ScalePair {
  readonly site: string;
  readonly vision: number;
  readonly text: number;
}

/** A value before and after the passes. */
export interface BeforeAfter {
  readonly before: Spread;
  readonly after: Spread;
}

/** One ablation step, as tools/ablation.ts writes it. */
export interface Step {
  readonly step: string;
  readonly [measure: string]: string | number;
}

/** The contents of a report; absent parts have no section. */
export interface Report {
  readonly title: string;
  /** Facts about the file: name, value. */
  readonly facts: readonly (readonly [string, string])[];
  /** Rows of the quality table: metric, float, quantized. */
  readonly quality?: readonly (readonly [string, string, string])[];
  readonly scales: readonly ScalePair[];
  readonly sites?: readonly SiteRow[];
  readonly weights?: BeforeAfter;
  readonly activations?: Readonly<Record<"vision" | "text", BeforeAfter>>;
  readonly ablation?: readonly Step[];
  /** Notes on missing sections and how to get them. */
  readonly missing: readonly string[];
}

/** The report as an HTML page. */
export function reportPage(r: Report): string {
  const sections = [
    section("The file", "", [
      htmlTable("What is in it", ["", "value"], r.facts),
      ...(r.quality
        ? [
          htmlTable(
            "How good it is",
            ["measure", "float", "quantized"],
            r.quality,
          ),
        ]
        : []),
    ]),
    r.sites && sitesSection(r.sites),
    r.scales.length > 0 && scalesSection(r.scales),
    (r.weights || r.activations) && spreadSection(r),
    r.ablation && ablationSection(r.ablation),
    r.missing.length > 0 &&
    section("What is not here", "", [
      `<ul>${r.missing.map((m) => `<li>${escape(m)}</li>`).join("")}</ul>`,
    ]),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(r.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header><p class="kind">mquant report</p><h1>${escape(r.title)}</h1></header>
<main>
${sections.filter(Boolean).join("\n")}
</main>
</body>
</html>
`;
}

function section(title: string, text: string, parts: readonly string[]) {
  return `<section><h2>${escape(title)}</h2>${
    text && `<p>${escape(text)}</p>`
  }<div class="figures">${parts.join("")}</div></section>`;
}

function figure(title: string, svg: string, key: string, note: string): string {
  return `<figure><h3>${escape(title)}</h3>${key}${svg}<figcaption>${
    escape(note)
  }</figcaption></figure>`;
}

/** The range of `values`, extended to multiples of `step`. */
function around(values: readonly number[], step: number): [number, number] {
  const finite = values.filter(Number.isFinite);
  return [
    Math.floor(Math.min(...finite) / step) * step,
    Math.ceil((Math.max(...finite) + 1e-9) / step) * step,
  ];
}

function sitesSection(sites: readonly SiteRow[]): string {
  const [from, to] = around(sites.map((s) => s.sqnr), 5);
  const y: Axis = { label: "SQNR, dB", from, to };
  const text = sites.filter((s) => s.phase === "text");
  const panels: [string, SiteRow[], number][] = [
    ["Vision tower", sites.filter((s) => s.phase === "vision"), 0],
    [
      "Text tower, image rows",
      text.filter((s) => s.modality === "vision"),
      0,
    ],
    ["Text tower, text rows", text.filter((s) => s.modality === "text"), 1],
  ];
  const figures = panels.filter(([, rows]) => rows.length > 0)
    .map(([title, rows, colour]) => {
      const worst = rows.reduce((a, b) => (a.sqnr < b.sqnr ? a : b));
      const series: Series = {
        name: title,
        colour,
        draw: "dots",
        points: rows.map((r, i) => ({
          x: i + 1,
          y: r.sqnr,
          title: `${r.site}: ${r.sqnr.toFixed(1)} dB, ${
            (100 * r.saturated).toFixed(3)
          } % saturated`,
        })),
      };
      const x: Axis = {
        label: "sites in running order",
        from: 0,
        to: rows.length + 1,
      };
      const mean = rows.reduce((s, r) => s + r.sqnr, 0) / rows.length;
      const note = `${rows.length} sites, mean ${
        mean.toFixed(1)
      } dB; the lowest is ${worst.site} with ${worst.sqnr.toFixed(1)} dB.`;
      return figure(title, plot(`${title}: ${note}`, x, y, [series]), "", note);
    });
  const worst = sites.toSorted((a, b) => a.sqnr - b.sqnr).slice(0, 12);
  const table = htmlTable(
    "The sites that lose most",
    ["site", "rows", "SQNR", "saturated"],
    worst.map((s) => [
      s.site,
      s.modality,
      `${s.sqnr.toFixed(1)} dB`,
      `${(100 * s.saturated).toFixed(3)} %`,
    ]),
  );
  return section(
    "Error of each site",
    "The value that enters each quantized product, on its integer grid, against the same value in float, on photos that calibration did not see. Errors of all sites before it are in it. Higher is better.",
    [...figures, table],
  );
}

function scalesSection(scales: readonly ScalePair[]): string {
  const all = scales.flatMap((s) => [s.vision, s.text]);
  const y: Axis = {
    label: "scale of one step",
    from: 10 ** Math.floor(Math.log10(Math.min(...all))),
    to: 10 ** Math.ceil(Math.log10(Math.max(...all))),
    log: true,
  };
  const series = (["vision", "text"] as const).map((kind, colour): Series => ({
    name: kind === "vision" ? "image rows" : "text rows",
    colour,
    draw: "dots",
    points: scales.map((s, i) => ({
      x: i + 1,
      y: s[kind],
      title: `${s.site}, ${kind}: ${s[kind].toPrecision(3)}`,
    })),
  }));
  const ratio = scales.map((s) => Math.abs(Math.log2(s.vision / s.text)));
  const most = scales[ratio.indexOf(Math.max(...ratio))];
  const factor = 2 ** Math.max(...ratio);
  const note =
    `${scales.length} sites. Farthest apart: ${most.site}, a factor of ${
      factor.toFixed(1)
    }; half of the sites are more than ${
      (2 ** ratio.toSorted((a, b) => a - b)[ratio.length >> 1]).toFixed(2)
    } apart.`;
  const x: Axis = {
    label: "sites of the text tower in running order",
    from: 0,
    to: scales.length + 1,
  };
  const svg = plot(
    `Static scales: ${note}`,
    x,
    y,
    series,
    scales.map((s, i) => [i + 1, s.vision, s.text] as const),
  );
  return section(
    "Scale per modality",
    "Image rows and text rows of one site have a static scale each (MSQ). A line joins the two: one scale for both would waste as many steps as it is long.",
    [figure("Image rows and text rows", svg, legend(series), note)],
  );
}

function spreadSection({ weights, activations }: Report): string {
  const figures = [
    weights && spreadFigure("Weights", weights),
    activations &&
    spreadFigure("Activations, image rows", activations.vision),
    activations && spreadFigure("Activations, text rows", activations.text),
  ].filter(Boolean) as string[];
  return section(
    "Before and after rotation",
    "What share of values is farther from 0 than so many standard deviations of its own tensor. What stands far to the right costs bits: the range has to reach it. The dotted curve is a normal distribution.",
    figures,
  );
}

function spreadFigure(title: string, { before, after }: BeforeAfter): string {
  const line = (name: string, colour: number, s: Spread): Series => ({
    name,
    colour,
    draw: "line",
    points: beyond(s).map(([x, y]) => ({ x, y })),
  });
  const most = Math.max(before.most, after.most);
  const to = Math.min(60, Math.ceil(most / 10) * 10);
  const normal: Series = {
    name: "normal",
    colour: 3,
    draw: "line",
    points: normalBeyond(5.5).map(([x, y]) => ({ x, y })),
  };
  const series = [line("before", 2, before), line("after", 0, after), normal];
  const note = `Largest value: ${before.most.toFixed(1)} σ before, ${
    after.most.toFixed(1)
  } σ after, of ${after.total.toLocaleString("en")} values.`;
  const svg = plot(
    `${title}: ${note}`,
    { label: "distance from 0 in σ", from: 0, to },
    { label: "share farther out", from: 1e-8, to: 1, log: true },
    series,
  );
  return figure(title, svg, legend(series), note);
}

function ablationSection(steps: readonly Step[]): string {
  const measures = [...new Set(steps.flatMap(Object.keys))]
    .filter((m) => steps.some((r) => typeof r[m] === "number"));
  const show = (v: string | number | undefined) =>
    typeof v === "number" ? `${Number(v.toPrecision(4))}` : v ?? "";
  const table = htmlTable(
    "Each step adds one idea",
    ["step", ...measures],
    steps.map((r) => [r.step, ...measures.map((m) => show(r[m]))]),
  );
  const measure = ["kl", "perplexity", "ppl"].find((m) => measures.includes(m));
  if (!measure) return section("Ablation", "", [table]);
  const values = steps.map((r) => Number(r[measure]));
  const top = Math.max(...values.filter(Number.isFinite));
  const bars = steps.map((r, i) =>
    `<li><span>${escape(r.step)}</span><span class="bar" style="inline-size:${
      (100 * values[i] / top).toFixed(1)
    }%"></span><span>${show(values[i])}</span></li>`
  );
  const name = measure === "kl" ? "Divergence from float, nats" : "Perplexity";
  return section("Ablation", "", [
    `<figure><h3>${name}</h3><ul class="bars">${
      bars.join("")
    }</ul><figcaption>Shorter is better; the numbers are in the table.</figcaption></figure>`,
    table,
  ]);
}

const STYLE = `
:root{color-scheme:light dark;
--paper:light-dark(#f6f4ef,#131517);--card:light-dark(#fff,#1c1f22);--ink:light-dark(#1b1c1e,#eceae5);
--faint:light-dark(#5a5d62,#a3a7ad);--rule:light-dark(#ddd9d0,#34393e);
--c0:light-dark(#0b6e64,#5ccfc0);--c1:light-dark(#b4530a,#f0a35e);--c2:light-dark(#8a2f6d,#e08fc6);--c3:light-dark(#767b82,#8b9097);
font:16px/1.5 system-ui,sans-serif;background:var(--paper);color:var(--ink)}
*{box-sizing:border-box}
body{max-width:66rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1,h2,h3,p,ul,figure{margin:0}
.kind{color:var(--faint);font-size:.875rem}
h1{font-size:1.6rem;line-height:1.2;letter-spacing:-.02em;overflow-wrap:anywhere}
h2{font-size:1.15rem;letter-spacing:-.01em}
h3{font-size:.95rem}
section{margin-top:2.25rem}
section>p{color:var(--faint);max-width:46rem;margin-top:.35rem}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr));gap:1rem;margin-top:.9rem;align-items:start}
.figures>*{background:var(--card);border:1px solid var(--rule);border-radius:.8rem;padding:1rem;min-width:0}
figcaption{color:var(--faint);font-size:.875rem;overflow-wrap:anywhere}
svg{display:block;inline-size:100%;block-size:auto;margin:.5rem 0 .4rem}
svg text{fill:var(--faint);font-size:11px}
.end{text-anchor:end}.middle{text-anchor:middle}
.grid{stroke:var(--rule);stroke-width:1}.axis{stroke:var(--faint);stroke-width:1}
.join{stroke:var(--c3);stroke-width:1;opacity:.55}
.dot{opacity:.85}.line{fill:none;stroke-width:1.8}
circle.c0{fill:var(--c0)}circle.c1{fill:var(--c1)}circle.c2{fill:var(--c2)}circle.c3{fill:var(--c3)}
path.c0{stroke:var(--c0)}path.c1{stroke:var(--c1)}path.c2{stroke:var(--c2)}path.c3{stroke:var(--c3);stroke-dasharray:2 4}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;list-style:none;font-size:.875rem;margin-top:.3rem}
.legend li{display:flex;align-items:center;gap:.4rem}
.spot{inline-size:.6rem;block-size:.6rem;border-radius:50%}.dash{inline-size:1.1rem;block-size:.18rem}
span.c0{background:var(--c0)}span.c1{background:var(--c1)}span.c2{background:var(--c2)}span.c3{background:var(--c3)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;inline-size:100%;font-size:.875rem}
caption{text-align:start;font-weight:600;padding-bottom:.35rem}
th,td{padding:.3rem .6rem .3rem 0;border-top:1px solid var(--rule);text-align:start;vertical-align:top;font-weight:400}
thead th{color:var(--faint);border-top:0}
th[scope=row]{overflow-wrap:anywhere}
.number{text-align:end;padding-inline-end:0;padding-inline-start:.6rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.bars{padding:0;list-style:none;font-size:.875rem;margin:.6rem 0}
.bars li{display:grid;grid-template-columns:8.5rem 1fr auto;gap:.6rem;align-items:center;padding:.15rem 0}
.bar{block-size:.7rem;border-radius:.2rem;background:var(--c0);inline-size:0}
@media print{body{max-width:none}}
`.replaceAll("\n", "");
