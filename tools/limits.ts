/**
 * Generated tables of limits. docs/limits.md: each loop and allocation that untrusted
 * input can reach, its bounds, and the resulting maximum of time or memory.
 * docs/server.md: the limits of the server and the status for a request beyond each.
 * All numbers are computed from the constants of the code.
 * @module
 */
import { LOG_LIMITS } from "../src/cli/serve_log.ts";
import { CONSTRAINT_LIMITS } from "../src/constrain/constraint.ts";
import { SCHEMA_LIMITS } from "../src/constrain/json_schema.ts";
import { GGUF_LIMITS } from "../src/format/gguf/read.ts";
import { HEADER_LIMITS } from "../src/format/header.ts";
import { IMAGE_LIMITS } from "../src/image/image.ts";
import { HEAD_LIMITS } from "../src/server/http/head.ts";
import { LIMITS } from "../src/server/options.ts";
import { MOST_INSTRUCTIONS } from "../src/tokenizer/regex_program.ts";
import { LOOKUP_STEPS } from "../src/tokenizer/prefixes.ts";
import { PATTERN_STEPS } from "../src/tokenizer/regex.ts";
import { TEMPLATE_LIMITS } from "../src/tokenizer/template_limits.ts";
import { leftCells } from "./models.ts";

const whole = (n: number) => n.toLocaleString("en-US");
const bytes = (n: number) =>
  n < 1e6
    ? `${whole(Math.round(n / 1000))} kB`
    : `${whole(Math.round(n / 1e6))} MB`;
const seconds = (ms: number) => `${whole(ms / 1000)} s`;

/** Rows: what is bounded, by what, the resulting maximum, where it is set. */
function rows(): string[][] {
  const inside = 1 + LIMITS.queue, server = "`LIMITS`, src/server/options.ts";
  const { character, text } = PATTERN_STEPS;
  const { token, answer, each } = CONSTRAINT_LIMITS;
  return [
    [
      "open connections",
      `${LIMITS.connections}`,
      `${bytes(LIMITS.connections * HEAD_LIMITS.bytes)} of heads`,
      server,
    ],
    [
      "waiting for the first head, the next head, a reader",
      "time",
      [LIMITS.headMs, LIMITS.idleMs, LIMITS.writeMs].map(seconds).join(", "),
      server,
    ],
    [
      "header fields of a request",
      `${HEAD_LIMITS.fields} in ${whole(HEAD_LIMITS.bytes)} bytes`,
      `${bytes(HEAD_LIMITS.bytes)}`,
      "`HEAD_LIMITS`, src/server/http/head.ts",
    ],
    [
      "requests being read, waiting or answered",
      "1 + `--queue`",
      `${inside} requests, ${bytes(LIMITS.heldBytes)} for all bodies`,
      server,
    ],
    [
      "receiving a body",
      `${bytes(LIMITS.bodyBytes)}, ${seconds(LIMITS.bodyMs)}`,
      `${bytes(2 * LIMITS.bodyBytes)} while the buffer grows`,
      server,
    ],
    [
      "JSON values of a body",
      `${whole(LIMITS.jsonValues)} values, ${LIMITS.jsonDepth} levels`,
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
      `${LIMITS.images}, decoded one at a time`,
      `${whole(IMAGE_LIMITS.pixels)} pixels at a time`,
      "`LIMITS`; `IMAGE_LIMITS`, src/image/image.ts",
    ],
    [
      "splitting a text into words (tokenizer pattern)",
      `${character} steps per character + ${whole(text)}`,
      `${whole(character * LIMITS.textLength + text)} steps`,
      "`PATTERN_STEPS`, src/tokenizer/regex.ts",
    ],
    [
      "looking up the pieces of a SentencePiece vocabulary",
      `${LOOKUP_STEPS.character} steps per character + ${
        whole(LOOKUP_STEPS.text)
      }`,
      `${
        whole(LOOKUP_STEPS.character * LIMITS.textLength + LOOKUP_STEPS.text)
      } steps`,
      "`LOOKUP_STEPS`, src/tokenizer/prefixes.ts",
    ],
    [
      "a tokenizer pattern with its repetitions unrolled",
      `${whole(MOST_INSTRUCTIONS)} instructions`,
      `${
        bytes(MOST_INSTRUCTIONS / 8 * LIMITS.textLength)
      } of state for the longest text`,
      "`MOST_INSTRUCTIONS`, src/tokenizer/regex_program.ts",
    ],
    [
      "rendering the chat template",
      `${whole(TEMPLATE_LIMITS.steps)} steps, ${seconds(TEMPLATE_LIMITS.ms)}`,
      `${bytes(64 * TEMPLATE_LIMITS.steps)} of text in all, ${
        bytes(TEMPLATE_LIMITS.text)
      } per text`,
      "`TEMPLATE_LIMITS`, src/tokenizer/template_limits.ts",
    ],
    [
      "parsing the chat template (once per model)",
      `${whole(TEMPLATE_LIMITS.length)} characters × ${
        whole(TEMPLATE_LIMITS.blanks)
      } consecutive spaces`,
      `${whole(TEMPLATE_LIMITS.length * TEMPLATE_LIMITS.blanks / 2)} steps`,
      "`TEMPLATE_LIMITS`",
    ],
    [
      "compiling a JSON schema",
      `${whole(SCHEMA_LIMITS.steps)} steps, ${seconds(SCHEMA_LIMITS.ms)}`,
      `${bytes(SCHEMA_LIMITS.steps * 8 * inside)} for all requests`,
      "`SCHEMA_LIMITS`, src/constrain/json_schema.ts",
    ],
    [
      "constrained decoding",
      `${whole(token)} steps per token; ${whole(answer)} + ${
        whole(each)
      } per token in all`,
      `${
        whole(answer + each * LIMITS.maxTokens)
      } steps for ${LIMITS.maxTokens} tokens`,
      "`CONSTRAINT_LIMITS`, src/constrain/constraint.ts",
    ],
    [
      "an answer",
      `${LIMITS.maxTokens} tokens, ${seconds(LIMITS.answerMs)}`,
      `${seconds(LIMITS.queueMs)} of waiting before it`,
      server,
    ],
    [
      "unread output",
      "all clients together",
      bytes(LIMITS.untakenBytes),
      server,
    ],
    [
      "unwritten log lines",
      `${whole(LOG_LIMITS.lines)} lines of ${
        whole(LOG_LIMITS.length)
      } characters`,
      bytes(LOG_LIMITS.lines * LOG_LIMITS.length),
      "`LOG_LIMITS`, src/cli/serve_log.ts",
    ],
    [
      "the header of a model file",
      `${whole(HEADER_LIMITS.tensors)} tensors`,
      `${bytes(HEADER_LIMITS.headerBytes)}`,
      "`HEADER_LIMITS`, src/format/header.ts",
    ],
    [
      "the header of a GGUF file",
      `${whole(GGUF_LIMITS.keys)} keys, ${
        whole(GGUF_LIMITS.array)
      } elements of a list`,
      `${bytes(GGUF_LIMITS.header)}`,
      "`GGUF_LIMITS`, src/format/gguf/read.ts",
    ],
  ];
}

/** The table of docs/limits.md. */
export const limitsTable = (): string =>
  leftCells([["what", "bounded by", "at most", "set by"], ...rows()]);

/** The table of docs/server.md. */
export function serverTable(): string {
  const l = LIMITS, full = "503 `queue_full` with `Retry-After`";
  return leftCells([
    ["limit", "default", "beyond it"],
    [
      "request body",
      `${bytes(l.bodyBytes)}, received within ${seconds(l.bodyMs)}`,
      "413 while it is read; 408",
    ],
    [
      "slow request body",
      `${
        seconds(l.slowBodyMs)
      }, then it gives up its slot if another request needs it`,
      "408",
    ],
    ["bodies of all requests", bytes(l.heldBytes), full],
    [
      "JSON of a body",
      `${l.jsonDepth} levels, ${whole(l.jsonValues)} values`,
      "400",
    ],
    [
      "messages, text",
      `${l.messages}, ${whole(l.textLength)} characters`,
      "400",
    ],
    ["images per request", `${l.images}`, "400"],
    [
      "an image",
      `${IMAGE_LIMITS.pixels / 1e6} megapixels, sides 1:${IMAGE_LIMITS.aspect}`,
      "400, before a pixel is decoded",
    ],
    ["prompt", "`--context` tokens", "400 `context_length_exceeded`"],
    ["`max_tokens`", `${l.maxTokens} (\`--max-tokens\`)`, "400"],
    ["`stop`", "4 strings of 256 characters", "400"],
    ["waiting requests", `${l.queue} (\`--queue\`); 1 is answered`, full],
    ["waiting time", seconds(l.queueMs), "503"],
    ["answering time", seconds(l.answerMs), "`finish_reason` is `length`"],
    [
      "connections",
      `${l.connections}`,
      "the longest idle one is closed; if none is idle, 503",
    ],
    [
      "head of a request",
      `${bytes(HEAD_LIMITS.bytes)}, ${HEAD_LIMITS.fields} fields`,
      "431",
    ],
    ["time for the first head", seconds(l.headMs), "closed"],
    ["time from an answer to the next head", seconds(l.idleMs), "closed"],
    ["time without the client reading", seconds(l.writeMs), "closed"],
    [
      "unread output of all answers",
      bytes(l.untakenBytes),
      "the slowest client is disconnected",
    ],
    [
      "draining after Ctrl-C or SIGTERM",
      "30 s",
      "running answers end with an error, exit code 1",
    ],
  ]);
}
