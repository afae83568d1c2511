import { assertEquals, assertThrows } from "@std/assert";
import { toyTokenizerJson } from "../../tests/toy_tokenizer.ts";
import { TokenizerError } from "./error.ts";
import { tokenizerJsonOf } from "./side_files.ts";
import { readTokenizer } from "./tokenizer.ts";
import golden from "./toy_golden.json" with { type: "json" };

const TOY = JSON.parse(toyTokenizerJson());
const ADDED: { id: number; content: string; special: boolean }[] =
  TOY.added_tokens;
const LINES = TOY.model.merges.map((pair: string[]) => pair.join(" "));
const MERGES = ["#version: 0.2", ...LINES, ""].join("\n");

/** The toy tokenizer as older checkpoints store it; `files` replaces some, undefined leaves one out. */
function folder(files: Readonly<Record<string, unknown>> = {}) {
  const all: Record<string, unknown> = {
    "vocab.json": TOY.model.vocab,
    "merges.txt": MERGES,
    "tokenizer_config.json": {
      tokenizer_class: "Qwen2TokenizerFast",
      added_tokens_decoder: Object.fromEntries(ADDED.map((t) => [t.id, t])),
    },
    ...files,
  };
  return (name: string) => {
    const file = all[name];
    if (file === undefined) return undefined;
    const text = typeof file === "string" ? file : JSON.stringify(file);
    return new TextEncoder().encode(text);
  };
}

const open = (files?: Readonly<Record<string, unknown>>) =>
  readTokenizer(tokenizerJsonOf(folder(files))!);

Deno.test("vocab.json and merges.txt: ids of the class's words, added tokens of tokenizer_config.json", () => {
  const tokenizer = open();
  for (const { text, qwen } of golden.cases) {
    const got = tokenizer.encode(text, { special: true });
    assertEquals(got, qwen, JSON.stringify(text));
  }
});

Deno.test("a pattern in tokenizer_config.json counts before the class's", () => {
  const tokenizer = open({
    "tokenizer_config.json": {
      tokenizer_class: "GPT2Tokenizer",
      pretokenize_regex: String.raw`\p{L}|\P{L}+`,
    },
  });
  const { t, h, Ġ } = TOY.model.vocab;
  assertEquals(tokenizer.encode("th h", { special: false }), [t, h, Ġ, h]);
});

Deno.test("added_tokens.json: special are those that another file names so", () => {
  const older = Object.fromEntries(ADDED.map((t) => [t.content, t.id]));
  const names = ["<image>", "<image><image>"];
  const tokenizer = open({
    "tokenizer_config.json": { tokenizer_class: "GPT2Tokenizer" },
    "added_tokens.json": older,
    "special_tokens_map.json": {
      eos_token: { content: "<end>", rstrip: true },
      pad_token: "<pad>",
      additional_special_tokens: names,
    },
  });
  for (const { content, id, special } of ADDED) {
    assertEquals(tokenizer.idOf(content), id);
    assertEquals(tokenizer.isSpecial(id), special, content);
  }
  const end = tokenizer.encode("<end>  ", { special: true });
  assertEquals(end, [tokenizer.idOf("<end>")!]);
});

Deno.test("a special token that no list names is the vocabulary's, or none", () => {
  const { the } = TOY.model.vocab;
  const tokenizer = open({
    "tokenizer_config.json": {
      tokenizer_class: "GPT2Tokenizer",
      eos_token: "the",
      extra_special_tokens: { image_token: "<nowhere>" },
    },
  });
  assertEquals(tokenizer.isSpecial(the), true);
  assertEquals(tokenizer.leading, undefined);
  assertEquals(tokenizer.idOf("<nowhere>"), undefined);
});

Deno.test("files that are not there make no tokenizer, damaged ones are named", () => {
  assertEquals(tokenizerJsonOf(folder({ "merges.txt": undefined })), undefined);
  for (
    const [files, want] of [
      [{ "vocab.json": "{" }, "vocab.json: it is not JSON"],
      [{ "vocab.json": [] }, "vocab.json: it is not an object"],
      [{ "merges.txt": "#version\na b c\n" }, "line 2 must be two tokens"],
      [{ "tokenizer_config.json": undefined }, "tokenizer_class is undefined"],
      [
        { "tokenizer_config.json": { tokenizer_class: "T5Tokenizer" } },
        'tokenizer_class is "T5Tokenizer"',
      ],
      [
        {
          "tokenizer_config.json": {
            tokenizer_class: "GPT2Tokenizer",
            added_tokens_decoder: { x: { content: "y" } },
          },
        },
        '"y" has no id',
      ],
    ] as const
  ) assertThrows(() => open(files), TokenizerError, want);
});
