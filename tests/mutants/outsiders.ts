/**
 * Seeded bugs that would let a client stop the server, slow it down or fill its
 * memory.
 * @module
 */
import { type Mutant, of } from "./mutant.ts";

const BOMBS = ["src/constrain/bombs_test.ts", "src/platform/budget_test.ts"];
const REGEX = [
  "src/tokenizer/regex_test.ts",
  "src/tokenizer/regex_cost_test.ts",
];
const TEMPLATE = ["src/tokenizer/template_test.ts"];
const MEMORY = [
  "tests/server/memory_test.ts",
  "src/server/outlet_test.ts",
  "src/server/body_test.ts",
];
const HTTP = ["src/server/http/http_test.ts"];
const TURNS = ["tests/server/turns_test.ts", "tests/server/trap_test.ts"];
const SERVE = [
  "src/cli/serve_log_test.ts",
  "src/cli/supervise_test.ts",
  "src/cli/ready_test.ts",
  "tests/server/remote_test.ts",
];

/** All of them. */
export const OUTSIDERS: readonly Mutant[] = [
  ...of(
    "src/platform/budget.ts",
    BOMBS,
    ["steps without end", 'if (!(left >= 0)) over("steps");', ""],
    [
      "time without end",
      'if (performance.now() - begun > ms) over("ms");',
      "",
    ],
  ),
  ...of(
    "src/constrain/constraint.ts",
    BOMBS,
    ["an answer's steps without end", "forAnswer(steps);", ""],
  ),
  ...of(
    "src/constrain/text_rules.ts",
    BOMBS,
    [
      "counts written out",
      "if (n <= MOST_COPIED) return Array",
      "if (n >= 0) return Array",
    ],
  ),
  ...of(
    "src/tokenizer/regex.ts",
    REGEX,
    [
      "failures are forgotten",
      "if (seen[word] & bit) fails = true;",
      "if (false) fails = true;",
    ],
    [
      "a match's end is taken for a failure",
      "if (end >= 0) seen.fill(0, end * words, (end + 1) * words);",
      "",
    ],
    [
      "looks behind begin at the text only",
      "now[0] = 1;",
      "now[0] = +(at === 0);",
    ],
  ),
  ...of(
    "src/tokenizer/regex_cost.ts",
    REGEX,
    [
      "looks behind read forwards",
      "const read = behind ? group.map((pieces) => pieces.toReversed()) : group;",
      "const read = group;",
    ],
  ),
  ...of(
    "src/tokenizer/normalize.ts",
    ["src/tokenizer/tokenizer_test.ts"],
    ["texts that grow without end", "if (grown <= most) return", "return"],
  ),
  ...of(
    "src/tokenizer/template_cost.ts",
    TEMPLATE,
    [
      "an indent of any width",
      "grow(width + length + lines * width);",
      "",
    ],
    [
      "searches that cost nothing",
      "return text.length * (1 + part.length) / 64;",
      "return 0;",
    ],
  ),
  ...of(
    "src/tokenizer/template.ts",
    TEMPLATE,
    [
      "white space without end",
      "if (longestBlank(template) > blanks)",
      "if (false)",
    ],
  ),
  ...of(
    "src/server/body.ts",
    MEMORY,
    ["values without end", "values: jsonValues", "values: Infinity"],
  ),
  ...of(
    "src/server/admission.ts",
    MEMORY,
    [
      "bodies of all without end",
      "if (held + bytes > most || !inside.has(ticket)) return false;",
      "",
    ],
    [
      "slow bodies keep their places",
      "if (performance.now() - ticket.since < slowMs) return false;",
      "return false;",
    ],
    [
      "room that is not given back",
      "if (inside.delete(ticket)) held -= own;",
      "inside.delete(ticket);",
    ],
  ),
  ...of(
    "src/server/outlet.ts",
    MEMORY,
    [
      "answers that nobody takes pile up",
      "while (total > most && bodies.size > 0) {",
      "while (false) {",
    ],
  ),
  ...of(
    "src/server/guard.ts",
    ["src/server/guard_test.ts"],
    [
      "any scheme",
      'return page.protocol === "https:" && !isLoopback(nameOf(host));',
      "return true;",
    ],
  ),
  ...of(
    "src/server/http/head.ts",
    HTTP,
    [
      "a body of two lengths",
      "if (length !== undefined || old) {",
      "if (false) {",
    ],
    [
      "fields that stand twice",
      "if (known !== undefined && ONCE.has(name)) {",
      "if (false) {",
    ],
  ),
  ...of(
    "src/server/http/front.ts",
    HTTP,
    [
      "connections without end",
      "while (open.size >= limits.connections) {",
      "while (false) {",
    ],
    [
      "a failed accept is the last",
      "counts.failed++;",
      "break;",
    ],
  ),
  ...of(
    "src/server/http/connection.ts",
    HTTP,
    [
      "clients have all the time",
      "const timer = setTimeout(() => this.close(), ms);",
      "const timer = setTimeout(() => {}, ms);",
    ],
    ["nobody hears who goes", "        gone.abort();", ""],
    [
      "every request leaves a watcher",
      "while (!answered && this.#source.length < HEAD_LIMITS.bytes) {",
      "while (this.#source.length < HEAD_LIMITS.bytes) {",
    ],
  ),
  ...of(
    "src/cli/serve_log.ts",
    SERVE,
    [
      "lines wait without end",
      "if (waiting.length >= LOG_LIMITS.lines) {",
      "if (false) {",
    ],
    [
      "a log that fails ends the server",
      "      } catch {\n        lost += lines.length;\n      }",
      "      } finally {\n        lost += 0;\n      }",
    ],
  ),
  ...of(
    "src/session/session.ts",
    TURNS,
    [
      "pictures decoded before their turn",
      "const early = examined.cutFirst ? undefined : await ready();",
      "const early = await ready();",
    ],
    [
      "a broken engine goes on",
      "if (!engine.broken) return engine;",
      "return engine;",
    ],
  ),
  ...of(
    "src/server/remote.ts",
    SERVE,
    ["a stuck thread is not noticed", "if (ms < stuckMs) return;", "return;"],
  ),
  ...of(
    "src/cli/supervise.ts",
    SERVE,
    [
      "waits without end",
      "wait = Math.min(2 * wait, t.mostBackOffMs);",
      "wait = 2 * wait;",
    ],
    [
      "a silent server is let be",
      "} else if (++silent >= t.mostSilent && !running.signal.aborted) {",
      "} else if (false) {",
    ],
  ),
  ...of(
    "src/cli/ready.ts",
    SERVE,
    [
      "a ready file through a link",
      "if (before && !before.isFile) {",
      "if (false) {",
    ],
  ),
];
