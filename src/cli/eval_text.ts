/**
 * The result of an evaluation, and its text form.
 * @module
 */
import type { SiteRow } from "../evaluate/sites.ts";
import { table } from "./table.ts";
import type { TextResult } from "./texts.ts";

/** Scores of the captions of one model. */
export interface Scores {
  readonly cider: number;
  readonly bleu4: number;
  readonly rougeL: number;
}

/** Output of `eval --json`. */
export interface Result {
  /** Null without a checkpoint or without captions. */
  readonly float: Scores | null;
  readonly quantized: Scores | null;
  /** Fraction of captions and answers with identical words. */
  readonly identical: number | null;
  /** Photos with captions. */
  readonly images: number;
  /**
   * Teacher forcing with the float answers: fraction of equal most likely
   * tokens, and mean KL divergence in nats.
   */
  readonly agreement: {
    readonly top1: number;
    readonly kl: number;
    readonly tokens: number;
  } | null;
  /** VQA accuracy, 0 to 1. */
  readonly vqa: {
    readonly float: number | null;
    readonly quantized: number;
    readonly questions: number;
  } | null;
  /** Perplexity of text.txt. */
  readonly text: TextResult | null;
  readonly sites: readonly SiteRow[] | null;
}

/** Number of worst sites that are shown. */
const WORST = 5;

const percent = (x: number, digits = 1) => `${(100 * x).toFixed(digits)} %`;

/** The result as text. */
export function evalText(result: Result): string {
  const { identical, agreement, sites } = result;
  const rows = [
    ...captionRows(result),
    ...vqaRows(result),
    ...textRows(result),
  ];
  const lines = identical === null || !agreement?.tokens
    ? []
    : [`identical words: ${percent(identical)}`];
  if (agreement && agreement.tokens > 0) {
    lines.push(
      `same next token as float, reading float's words: ${
        percent(agreement.top1, 2)
      } of ${agreement.tokens}, divergence ${agreement.kl.toFixed(4)} nats`,
    );
  }
  return [table(rows), ...lines.map((l) => `${l}\n`), sites && siteText(sites)]
    .filter(Boolean).join("");
}

function captionRows({ float, quantized, images }: Result): string[][] {
  if (!quantized) return [];
  const rows = [[`${images} photos`, "CIDEr-D", "BLEU-4", "ROUGE-L"]];
  const row = (name: string, s: Scores, show: (x: number) => string) => [
    name,
    show(s.cider),
    show(s.bleu4),
    show(s.rougeL),
  ];
  const four = (x: number) => x.toFixed(4);
  if (float) rows.push(row("float", float, four));
  rows.push(row("quantized", quantized, four));
  if (float) {
    rows.push(row("kept", {
      cider: quantized.cider / float.cider,
      bleu4: quantized.bleu4 / float.bleu4,
      rougeL: quantized.rougeL / float.rougeL,
    }, percent));
  }
  return rows;
}

function vqaRows({ vqa }: Result): string[][] {
  if (!vqa) return [];
  const rows = [[`${vqa.questions} questions`, "accuracy"]];
  if (vqa.float !== null) rows.push(["float", percent(vqa.float)]);
  return [...rows, ["quantized", percent(vqa.quantized)]];
}

function textRows({ text }: Result): string[][] {
  if (!text) return [];
  const rows = [[`${text.tokens} tokens of text`, "perplexity"]];
  if (text.float !== null) rows.push(["float", text.float.toFixed(3)]);
  return [...rows, ["quantized", text.quantized.toFixed(3)]];
}

function siteText(sites: readonly SiteRow[]): string {
  const worst = sites.toSorted((a, b) => a.sqnr - b.sqnr).slice(0, WORST);
  const beyond = sites.reduce((s, r) => s + r.saturated * r.count, 0);
  const count = sites.reduce((s, r) => s + r.count, 0);
  return table([
    ["sites that lose most", "rows", "SQNR", "saturated"],
    ...worst.map((r) => [
      r.site,
      r.modality,
      `${r.sqnr.toFixed(1)} dB`,
      percent(r.saturated, 3),
    ]),
  ]) +
    `saturated values of all ${sites.length}: ${percent(beyond / count, 4)}\n`;
}
