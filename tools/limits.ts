/**
 * The table of docs/limits.md that says what everything an outsider can reach
 * comes to: each loop and allocation, the numbers that bound it, and their
 * product, computed from the constants of the code.
 * @module
 */
import { LOG_LIMITS } from "../src/cli/serve_log.ts";
import { CONSTRAINT_LIMITS } from "../src/constrain/constraint.ts";
import { SCHEMA_LIMITS } from "../src/constrain/json_schema.ts";
import { HEADER_LIMITS } from "../src/format/header.ts";
import { IMAGE_LIMITS } from "../src/image/image.ts";
import { HEAD_LIMITS } from "../src/server/http/head.ts";
import { LIMITS } from "../src/server/options.ts";
import { MOST_INSTRUCTIONS } from "../src/tokenizer/regex_program.ts";
import { PATTERN_STEPS } from "../src/tokenizer/regex.ts";
import { TEMPLATE_LIMITS } from "../src/tokenizer/template_limits.ts";

const whole = (n: number) => n.toLocaleString("en-US");
const bytes = (n: number) =>
  n < 1e6
    ? `${whole(Math.round(n / 1000))} kB`
    : `${whole(Math.round(n / 1e6))} MB`;
const seconds = (ms: number) => `${whole(ms / 1000)} s`;

/** Rows: what is done, what bounds it, what it comes to at most, where it is set. */
function rows(): string[][] {
  const inside = 1 + LIMITS.queue, server = "`LIMITS`, src/server/options.ts";
  const { character, text } = PATTERN_STEPS;
  const { token, answer, each } = CONSTRAINT_LIMITS;
  return [
    [
      "connections that are open",
      `${LIMITS.connections}`,
      `${bytes(LIMITS.connections * HEAD_LIMITS.bytes)} of heads`,
      server,
    ],
    [
      "waiting for a head, for the next head, for a reader",
      "time",
      [LIMITS.headMs, LIMITS.idleMs, LIMITS.writeMs].map(seconds).join(", "),
      server,
    ],
    [
      "fields of a head",
      `${HEAD_LIMITS.fields} in ${whole(HEAD_LIMITS.bytes)} bytes`,
      `${bytes(HEAD_LIMITS.bytes)}`,
      "`HEAD_LIMITS`, src/server/http/head.ts",
    ],
    [
      "requests inside",
      "1 + `--queue`",
      `${inside}, ${bytes(LIMITS.heldBytes)} of bodies together`,
      server,
    ],
    [
      "a body while it arrives",
      `${bytes(LIMITS.bodyBytes)}, ${seconds(LIMITS.bodyMs)}`,
      `${bytes(2 * LIMITS.bodyBytes)} while it grows`,
      server,
    ],
    [
      "values of a body",
      `${whole(LIMITS.jsonValues)}, ${LIMITS.jsonDepth} deep`,
      `${bytes(LIMITS.jsonValues * 300)} of objects`,
      server,
    ],
    [
      "text of a request",
      `${whole(LIMITS.textLength)} characters, ${LIMITS.messages} messages`,
      `${bytes(2 * LIMITS.textLength)}`,
      server,
    ],
    [
      "images of a request",
      `${LIMITS.images}, decoded one by one in the request's turn`,
      `${whole(IMAGE_LIMITS.pixels)} pixels at a time`,
      "`LIMITS`; `IMAGE_LIMITS`, src/image/image.ts",
    ],
    [
      "words of a text (the tokenizer's pattern)",
      `${character} steps a character + ${whole(text)}`,
      `${whole(character * LIMITS.textLength + text)} steps`,
      "`PATTERN_STEPS`, src/tokenizer/regex.ts",
    ],
    [
      "a pattern with its counts written out",
      `${whole(MOST_INSTRUCTIONS)} instructions`,
      `${
        bytes(MOST_INSTRUCTIONS / 8 * LIMITS.textLength)
      } of marks for the longest text`,
      "`MOST_INSTRUCTIONS`, src/tokenizer/regex_program.ts",
    ],
    [
      "a run of the chat template",
      `${whole(TEMPLATE_LIMITS.steps)} steps, ${seconds(TEMPLATE_LIMITS.ms)}`,
      `${bytes(64 * TEMPLATE_LIMITS.steps)} of text, ${
        bytes(TEMPLATE_LIMITS.text)
      } in one`,
      "`TEMPLATE_LIMITS`, src/tokenizer/template_limits.ts",
    ],
    [
      "reading the chat template (once)",
      `${whole(TEMPLATE_LIMITS.length)} characters × ${
        whole(TEMPLATE_LIMITS.blanks)
      } blanks in a row`,
      `${whole(TEMPLATE_LIMITS.length * TEMPLATE_LIMITS.blanks / 2)} steps`,
      "`TEMPLATE_LIMITS`",
    ],
    [
      "the grammar of a schema",
      `${whole(SCHEMA_LIMITS.steps)} steps, ${seconds(SCHEMA_LIMITS.ms)}`,
      `${bytes(SCHEMA_LIMITS.steps * 8 * inside)} of all that wait`,
      "`SCHEMA_LIMITS`, src/constrain/json_schema.ts",
    ],
    [
      "keeping to a grammar",
      `${whole(token)} steps a token, ${whole(answer)} + ${
        whole(each)
      } a token in all`,
      `${
        whole(answer + each * LIMITS.maxTokens)
      } steps of ${LIMITS.maxTokens} tokens`,
      "`CONSTRAINT_LIMITS`, src/constrain/constraint.ts",
    ],
    [
      "an answer",
      `${LIMITS.maxTokens} tokens, ${seconds(LIMITS.answerMs)}`,
      `${seconds(LIMITS.queueMs)} of waiting before it`,
      server,
    ],
    [
      "answers that nobody takes",
      "all together",
      bytes(LIMITS.untakenBytes),
      server,
    ],
    [
      "lines of the log that wait",
      `${whole(LOG_LIMITS.lines)} of ${whole(LOG_LIMITS.length)} characters`,
      bytes(LOG_LIMITS.lines * LOG_LIMITS.length),
      "`LOG_LIMITS`, src/cli/serve_log.ts",
    ],
    [
      "the header of a model file",
      `${whole(HEADER_LIMITS.tensors)} tensors`,
      `${bytes(HEADER_LIMITS.headerBytes)}`,
      "`HEADER_LIMITS`, src/format/header.ts",
    ],
  ];
}

/** The table. */
export function limitsTable(): string {
  const all = [["what", "bounded by", "at most", "set by"], ...rows()];
  const widths = all[0].map((_, i) => Math.max(...all.map((r) => r[i].length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  const [head, ...body] = all.map(line);
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [head, rule, ...body, ""].join("\n");
}
