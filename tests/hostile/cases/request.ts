/** Bodies of requests that break a rule each. */
import { LIMITS } from "../../../src/server/mod.ts";
import { bytesOf, type Case, jsonOf } from "./case.ts";

const say = (content: unknown, more: object = {}) =>
  jsonOf({ messages: [{ role: "user", content }], ...more });
const number = (name: string, text: string) =>
  bytesOf(`{"messages":[{"role":"user","content":"hi"}],"${name}":${text}}`);
const url = (url: unknown) => say([{ type: "image_url", image_url: { url } }]);
const image = "data:image/png;base64,iVBORw0KGgo=";
const images = (n: number) =>
  say(Array.from({ length: n }, () => ({
    type: "image_url",
    image_url: { url: image },
  })));

/** Every numeric field at every number that breaks a reader. */
function* numbers(): Generator<Case> {
  const fields = ["max_tokens", "max_completion_tokens", "temperature"];
  fields.push("top_p", "top_k", "seed");
  const values: [string, string, RegExp?][] = [
    ["1e308", "invalid_value"],
    ["1e999", "invalid_value"],
    ['"NaN"', "invalid_type"],
    ["[1]", "invalid_type"],
    ["9007199254740992", "invalid_value"],
    ["-1", "invalid_value", /^seed$/],
    ["0.5", "invalid_value", /^(temperature|top_p)$/],
  ];
  for (const name of fields) {
    for (const [text, code, allowed] of values) {
      if (allowed?.test(name)) continue;
      yield [
        code,
        `${name} ${text.replaceAll(/\W+/g, " ").trim()}`,
        number(name, text),
      ];
    }
  }
}

/** Bodies. */
export const REQUEST: readonly Case[] = [
  ["invalid_json", "nothing", bytesOf("")],
  ["invalid_json", "no UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d)],
  ["invalid_json", "a hundred brackets", bytesOf("[".repeat(100))],
  ["invalid_json", "a hundred thousand brackets", bytesOf("[".repeat(100_000))],
  ["invalid_json", "two objects", bytesOf("{}{}")],
  ["invalid_type", "a list", bytesOf("[]")],
  ["invalid_type", "null", bytesOf("null")],
  ["invalid_type", "no messages", bytesOf("{}")],
  ["invalid_value", "an empty list of messages", jsonOf({ messages: [] })],
  [
    "invalid_value",
    "too many messages",
    jsonOf({
      messages: Array.from(
        { length: LIMITS.messages + 1 },
        () => ({ role: "user", content: "x" }),
      ),
    }),
  ],
  [
    "unknown_parameter",
    "__proto__",
    bytesOf('{"messages":[],"__proto__":{"x":1}}'),
  ],
  ["unknown_parameter", "n_discard", number("n_discard", "-1")],
  [
    "unknown_parameter",
    "chat_template_kwargs",
    number("chat_template_kwargs", '{"x":"{{ 1 }}"}'),
  ],
  ["unknown_parameter", "chat_template", number("chat_template", '"{{ 1 }}"')],
  ["unsupported_parameter", "two answers", number("n", "2")],
  ["unsupported_parameter", "n below zero", number("n", "-1")],
  ["unsupported_parameter", "a tool", number("tools", "[{}]")],
  [
    "invalid_value",
    "a role of the prototype",
    jsonOf({ messages: [{ role: "constructor", content: "x" }] }),
  ],
  [
    "invalid_value",
    "a system that shows images",
    jsonOf({
      messages: [{
        role: "system",
        content: [{ type: "image_url", image_url: { url: image } }],
      }],
    }),
  ],
  ["invalid_type", "content as a number", say(7)],
  [
    "invalid_value",
    "five stops",
    say("hi", { stop: ["a", "b", "c", "d", "e"] }),
  ],
  ["invalid_value", "a stop of nothing", say("hi", { stop: "" })],
  ["invalid_value", "a stop of 257", say("hi", { stop: "x".repeat(257) })],
  [
    "context_length_exceeded",
    "100,001 line ends",
    say("\n".repeat(100_001)),
  ],
  ["too_many_images", "five images", images(5)],
  [
    "remote_image_refused",
    "the cloud's own address",
    url("http://169.254.169.254/latest/meta-data/"),
  ],
  ["remote_image_refused", "a file", url("file:///etc/passwd")],
  ["remote_image_refused", "a path", url("/etc/passwd")],
  [
    "remote_image_refused",
    "an https address",
    url("https://example.com/cat.jpg"),
  ],
  ["remote_image_refused", "a blob", url("blob:null/1")],
  ["invalid_image", "no base64", url("data:image/png;base64,%%%")],
  ["invalid_image", "no bytes", url("data:image/png;base64,")],
  ["invalid_image", "text", url("data:text/html;base64,PGI+")],
  [
    "invalid_image",
    "a header of ten thousand",
    url(`data:image/${"x".repeat(10_000)};base64,AA==`),
  ],
  ["invalid_type", "an address as a number", url(7)],
  ["model_not_found", "another model", say("hi", { model: "../../x" })],
  ...numbers(),
];
