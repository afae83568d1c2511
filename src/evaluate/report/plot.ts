/**
 * Plots as inline SVG with points, lines and bars over two axes. Colours and
 * fonts come from the page's style; every plot has a text description.
 * @module
 */

/** Escapes text for HTML. */
export function escape(text: string): string {
  const names: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return text.replace(/[&<>"]/g, (c) => names[c]);
}

/** A mark at (x, y) and its tooltip. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly title?: string;
}

/** Points of one colour; `line` connects them, `dots` does not. */
export interface Series {
  readonly name: string;
  /** Number of the colour, 0 to 3. */
  readonly colour: number;
  readonly draw: "dots" | "line";
  readonly points: readonly Point[];
}

/** One axis. */
export interface Axis {
  readonly label: string;
  readonly from: number;
  readonly to: number;
  /** Logarithmic scale. */
  readonly log?: boolean;
  /** Labels instead of numbers. */
  readonly ticks?: readonly { readonly at: number; readonly text: string }[];
}

const WIDTH = 400, HEIGHT = 240;
const BOX = { left: 46, right: 8, top: 10, bottom: 36 };

/** Position of `value` on an axis, 0 to 1. */
function position({ from, to, log }: Axis, value: number): number {
  const f = log ? Math.log10 : (v: number) => v;
  return (f(value) - f(from)) / (f(to) - f(from));
}

/** Ticks of an axis: powers of ten if logarithmic, else multiples of 1, 2 or 5. */
export function ticksOf(axis: Axis): { at: number; text: string }[] {
  if (axis.ticks) return [...axis.ticks];
  const ticks: { at: number; text: string }[] = [];
  if (axis.log) {
    const first = Math.ceil(Math.log10(axis.from) - 1e-9);
    const last = Math.floor(Math.log10(axis.to) + 1e-9);
    const step = Math.ceil((last - first + 1) / 6);
    for (let e = first; e <= last; e += step) {
      ticks.push({ at: 10 ** e, text: power(e, first < -3 || last > 3) });
    }
    return ticks;
  }
  const rough = (axis.to - axis.from) / 5,
    unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * (rough / unit < 1.5 ? 1 : rough / unit < 3.5 ? 2 : 5);
  for (let i = Math.ceil(axis.from / step); i * step <= axis.to + 1e-9; i++) {
    ticks.push({ at: i * step, text: `${Number((i * step).toPrecision(6))}` });
  }
  return ticks;
}

/** 10^exponent as text: a number, or with a raised exponent. */
function power(exponent: number, raised: boolean): string {
  if (!raised || exponent === 0) return `${Number(`1e${exponent}`)}`;
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const small = [...`${Math.abs(exponent)}`].map((d) => digits[Number(d)]);
  return `10${exponent < 0 ? "⁻" : ""}${small.join("")}`;
}

const n = (value: number) => `${Number(value.toFixed(1))}`;

/**
 * A plot as SVG.
 * @param joins thin lines between two values at one x, such as the two scales
 * of a site
 * @param label text description for screen readers
 */
export function plot(
  label: string,
  x: Axis,
  y: Axis,
  series: readonly Series[],
  joins: readonly (readonly [number, number, number])[] = [],
): string {
  const wide = WIDTH - BOX.left - BOX.right,
    high = HEIGHT - BOX.top - BOX.bottom;
  const px = (v: number) => BOX.left + wide * position(x, v);
  const py = (v: number) =>
    BOX.top + high * (1 - Math.min(1, Math.max(0, position(y, v))));
  const bottom = BOX.top + high;
  const parts: string[] = [];
  for (const { at, text } of ticksOf(y)) {
    parts.push(
      `<line class="grid" x1="${BOX.left}" x2="${WIDTH - BOX.right}" y1="${
        n(py(at))
      }" y2="${n(py(at))}"/>`,
      `<text class="tick end" x="${BOX.left - 6}" y="${n(py(at) + 4)}">${
        escape(text)
      }</text>`,
    );
  }
  for (const { at, text } of ticksOf(x)) {
    parts.push(
      `<text class="tick middle" x="${n(px(at))}" y="${bottom + 15}">${
        escape(text)
      }</text>`,
    );
  }
  parts.push(
    `<line class="axis" x1="${BOX.left}" x2="${
      WIDTH - BOX.right
    }" y1="${bottom}" y2="${bottom}"/>`,
    `<text class="name middle" x="${n(BOX.left + wide / 2)}" y="${
      HEIGHT - 3
    }">${escape(x.label)}</text>`,
    `<text class="name middle" transform="translate(11 ${
      n(BOX.top + high / 2)
    }) rotate(-90)">${escape(y.label)}</text>`,
  );
  for (const [at, a, b] of joins) {
    parts.push(
      `<line class="join" x1="${n(px(at))}" x2="${n(px(at))}" y1="${
        n(py(a))
      }" y2="${n(py(b))}"/>`,
    );
  }
  for (const s of series) parts.push(drawn(s, px, py));
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${
    escape(label)
  }">${parts.join("")}</svg>`;
}

function drawn(
  { colour, draw, points }: Series,
  px: (v: number) => number,
  py: (v: number) => number,
): string {
  if (draw === "line") {
    const d = points.map((p, i) =>
      `${i ? "L" : "M"}${n(px(p.x))} ${n(py(p.y))}`
    );
    return `<path class="line c${colour}" d="${d.join("")}"/>`;
  }
  return points.map((p) =>
    `<circle class="dot c${colour}" cx="${n(px(p.x))}" cy="${
      n(py(p.y))
    }" r="2.6">${p.title ? `<title>${escape(p.title)}</title>` : ""}</circle>`
  ).join("");
}

/** The legend of a plot. */
export function legend(series: readonly Series[]): string {
  return `<ul class="legend">${
    series.map((s) =>
      `<li><span class="${
        s.draw === "line" ? "dash" : "spot"
      } c${s.colour}"></span>${escape(s.name)}</li>`
    ).join("")
  }</ul>`;
}

/** An HTML table; the first column names the rows, numbers are right-aligned. */
export function htmlTable(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const cell = (text: string, i: number, tag: string) =>
    `<${tag}${i === 0 && tag === "th" ? ' scope="row"' : ""}${
      i > 0 ? ' class="number"' : ""
    }>${escape(text)}</${tag}>`;
  return `<div class="scroll"><table><caption>${
    escape(caption)
  }</caption><thead><tr>${
    head.map((h, i) =>
      `<th scope="col"${i > 0 ? ' class="number"' : ""}>${escape(h)}</th>`
    ).join("")
  }</tr></thead><tbody>${
    rows.map((r) =>
      `<tr>${r.map((c, i) => cell(c, i, i === 0 ? "th" : "td")).join("")}</tr>`
    ).join("")
  }</tbody></table></div>`;
}
