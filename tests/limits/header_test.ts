/** Limits of files and requests: just below, at, and just above. */
import { assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/format/error.ts";
import { HEADER_LIMITS } from "../../src/format/header.ts";
import { openSafetensors } from "../../src/format/safetensors.ts";
import { bytesSource } from "../../src/format/source.ts";
import { ApiError } from "../../src/server/error.ts";
import { LIMITS } from "../../src/server/mod.ts";
import { parseJson } from "../../src/server/body.ts";
import { parseRequest } from "../../src/server/request.ts";
import { TEMPLATE_LIMITS } from "../../src/tokenizer/template.ts";
import { renderTemplate } from "../../src/tokenizer/template.ts";
import { file, t } from "../hostile/cases/safetensors.ts";

const open = (bytes: Uint8Array) => openSafetensors(bytesSource(bytes, "x"));

/** `make(n)` works below and at the limit, and is refused with `code` beyond. */
function edge(limit: number, make: (n: number) => unknown, code: string) {
  make(limit - 1);
  make(limit);
  const error = assertThrows(() => make(limit + 1), Error);
  assertEquals((error as { code?: string }).code ?? error.name, code);
}

Deno.test("limits of a safetensors header", () => {
  const { headerBytes, nameBytes, axes, tensors } = HEADER_LIMITS;
  edge(headerBytes, (n) => open(file("{}".padEnd(n))), "header_too_large");
  edge(
    nameBytes,
    (n) => open(file(`{"${"n".repeat(n)}":${t("0", 0, 0)}}`)),
    "name",
  );
  edge(
    axes,
    (n) => open(file(`{"a":${t(Array(n).fill(1).join(), 0, 4)}}`, 4)),
    "shape",
  );
  const many = (n: number) =>
    `{${Array.from({ length: n }, (_, i) => `"${i}":${t("0", 0, 0)}`)}}`;
  edge(tensors, (n) => open(file(many(n))), "too_many_tensors");
  assertThrows(() => open(file(many(tensors + 1))), FormatError, "65536");
});

Deno.test("limits of a request", () => {
  const limits = {
    ...LIMITS,
    messages: 5,
    images: 3,
    textLength: 40,
    jsonDepth: 6,
    maxTokens: 7,
  };
  const parse = (body: unknown) => parseRequest(body, { model: "m", limits });
  const say = (content: unknown, more: object = {}) =>
    parse({ messages: [{ role: "user", content }], ...more });
  const image = {
    type: "image_url",
    image_url: { url: "data:image/png;base64,AAAA" },
  };
  edge(
    5,
    (n) => parse({ messages: Array(n).fill({ role: "user", content: "x" }) }),
    "invalid_value",
  );
  edge(3, (n) => say(Array(n).fill(image)), "too_many_images");
  edge(40, (n) => say("x".repeat(n)), "context_length_exceeded");
  edge(7, (n) => say("hi", { max_tokens: n }), "invalid_value");
  edge(4, (n) => say("hi", { stop: Array(n).fill("x") }), "invalid_value");
  edge(256, (n) => say("hi", { stop: "x".repeat(n) }), "invalid_value");
  edge(6, (n) =>
    parseJson(
      new TextEncoder().encode("[".repeat(n) + "]".repeat(n)),
      limits,
    ), "invalid_json");
  assertThrows(() => say("hi", { max_tokens: 8 }), ApiError, "from 1 to 7");
});

Deno.test("limits of a chat template's text", () => {
  const { text } = TEMPLATE_LIMITS;
  edge(text, (n) =>
    renderTemplate("{{ a ~ b }}", {
      a: "x".repeat(n - 10),
      b: "y".repeat(10),
    }), "Error");
});
