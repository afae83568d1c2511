/**
 * SentencePiece's own models against its ids and its text of every trap of the
 * tokenizer's corpus (tools/golden/piece_files.py), and files that are damaged.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { random } from "../tensor/random.ts";
import { TokenizerError } from "./error.ts";
import { readSentencePieceFile } from "./sentencepiece_file.ts";
import { tokenizerJsonOf } from "./side_files.ts";
import { readTokenizer, type Tokenizer } from "./tokenizer.ts";
import golden from "../../tests/golden/sentencepiece.json" with {
  type: "json",
};

const { texts, kinds } = golden;
const models = new Map(
  kinds.map(({ name, model }) => [name, Uint8Array.fromBase64(model)]),
);
const LLAMA = models.get("BPE, a space in front, bytes")!;
const GEMMA = models.get("BPE, no space in front, user-defined pieces")!;

/** Opens a tokenizer.model with the settings of a tokenizer_config.json beside it. */
function open(model: Uint8Array, settings: object = {}): Tokenizer {
  const config = new TextEncoder().encode(JSON.stringify(settings));
  return readTokenizer(
    tokenizerJsonOf((name) =>
      name === "tokenizer.model"
        ? model
        : name === "tokenizer_config.json"
        ? config
        : undefined
    )!,
  );
}

for (const { name, ids, decoded } of kinds) {
  Deno.test(`tokenizer.model, ids and text equal SentencePiece's: ${name}`, () => {
    const tokenizer = open(models.get(name)!);
    for (const [i, text] of texts.entries()) {
      const got = tokenizer.encode(text, { special: false });
      assertEquals(got, ids[i], JSON.stringify(text));
      const want = decoded[i];
      if (want !== null) assertEquals(tokenizer.decode(got), want);
    }
    assert(decoded.filter((text) => text !== null).length > 20);
  });
}

Deno.test("control pieces and user-defined markup come out of a prompt's own text alone", () => {
  const tokenizer = open(GEMMA), text = "<s>he<image>\n\n</s>";
  const [s, he, image, lines, end] = ["<s>", "he", "<image>", "\n\n", "</s>"]
    .map((piece) => tokenizer.idOf(piece)!);
  assertEquals(
    tokenizer.encode(text, { special: true }),
    [s, he, image, lines, end],
  );
  const plain = tokenizer.encode(text, { special: false });
  assert(![s, image, end].some((id) => plain.includes(id)), `${plain}`);
  assert([he, lines].every((id) => plain.includes(id)), `${plain}`);
});

Deno.test("the space in front: of every text between added tokens, of the first (legacy: false), of none", () => {
  const text = "child<s>child";
  const [child, bare] = ["▁child", "child"].map((piece) =>
    open(LLAMA, { add_prefix_space: false })
      .encode(piece, { special: false })
  );
  for (
    const [settings, first, second] of [
      [{}, child, child],
      [{ legacy: true }, child, child],
      [{ legacy: false }, child, bare],
      [{ add_prefix_space: false }, bare, bare],
    ]
  ) {
    const tokenizer = open(LLAMA, settings as object);
    assertEquals(
      tokenizer.encode(text, { special: true }),
      [...first as number[], tokenizer.idOf("<s>")!, ...second as number[]],
      JSON.stringify(settings),
    );
  }
});

Deno.test("an added token of ▁ is decoded as spaces", () => {
  const id = open(GEMMA).idOf("▁▁▁")!;
  const tokenizer = open(GEMMA, {
    added_tokens_decoder: { [id]: { content: "▁▁▁" } },
  });
  assertEquals(tokenizer.encode("   ", { special: false }), [id]);
  assertEquals(tokenizer.decode([id]), "   ");
});

Deno.test("bos_token leads unless add_bos_token says no", () => {
  const bos_token = { content: "<s>" };
  assertEquals(open(LLAMA, { bos_token }).leading, "<s>");
  const without = open(LLAMA, { bos_token, add_bos_token: false });
  assertEquals([without.leading, open(LLAMA).leading], [undefined, undefined]);
});

Deno.test("added tokens beside a tokenizer.model keep the flags of tokenizer_config.json", () => {
  const id = open(LLAMA).size;
  const tokenizer = open(LLAMA, {
    added_tokens_decoder: {
      [id]: { content: "<end>", special: true, rstrip: true },
    },
  });
  assertEquals(tokenizer.encode("<end>  \n", { special: true }), [id]);
  assert(tokenizer.isSpecial(id));
});

Deno.test("a damaged tokenizer.model is refused, whatever is wrong", () => {
  const draw = random(7);
  for (const model of models.values()) {
    for (let n = 0; n < 60; n++) {
      const damaged = model.slice(0, n % 3 === 0 ? n * 20 : model.length);
      for (let k = 0; k < 1 + n % 4 && damaged.length > 0; k++) {
        damaged[draw() % damaged.length] = draw() & 255;
      }
      try {
        const tokenizer = open(damaged);
        tokenizer.encode("the dog ﬁ é\n\n▁▁▁ <image> 12", { special: true });
      } catch (error) {
        assert(error instanceof TokenizerError, String(error));
      }
    }
  }
  for (
    const [bytes, want] of [
      ["no model", "is no SentencePiece model"],
      ["\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "no SentencePiece"],
      ["\x0a\x7fabc", "at byte"],
      ["\x0b", "at byte"],
      ["\x0a\x02\x0a\x00", "piece 0 must be a text of 1 to 1000 characters"],
      ["\x12\x02\x18\x03", "neither unigram nor BPE"],
      ["\x12\x03\xc0\x01\x01", "treat_whitespace_as_suffix"],
      ["\x1a\x02\x28\x00", "escape_whitespaces"],
      [
        "\x0a\x05\x0a\x01?\x18\x02\x1a\x04\x12\x02\x01\x02",
        "precompiled_charsmap is cut off",
      ],
      ["\x0a\x03\x0a\x01a", "has no unknown piece"],
      ["\x2a\x03\x12\x01x", "denormalizer_spec"],
      ["\x0a\x05\x0a\x03\x61\xff\x62", "not UTF-8"],
    ]
  ) {
    const model = Uint8Array.from(bytes, (c) => c.charCodeAt(0));
    assertThrows(() => open(model), TokenizerError, want);
  }
  assertThrows(
    () => readSentencePieceFile(new Uint8Array(2 ** 26 + 1)),
    TokenizerError,
    "more than",
  );
});

Deno.test("long texts of long pieces take little time, or are refused", () => {
  const made = (algorithm: string, kind: number, count: number) => {
    const json = JSON.parse(
      tokenizerJsonOf((n) => n === "tokenizer.model" ? LLAMA : undefined)!,
    );
    json.added_tokens = [];
    json.normalizer.prefix = "never";
    const pieces = Array.from(
      { length: count },
      (_, i) => ["a".repeat(i + 1), -1, kind],
    );
    const { type } = json.model;
    json.model = { type, algorithm, pieces: [["?", 0, 2], ...pieces] };
    const tokenizer = readTokenizer(JSON.stringify(json));
    return (length: number) =>
      tokenizer.encode("a".repeat(length), { special: false }).length;
  };
  assertEquals(made("BPE", 4, 100)(5_000), 50);
  assertEquals(made("Unigram", 4, 100)(5_000), 50);
  assertEquals(made("Unigram", 1, 100)(5_000), 50);
  assertThrows(
    () => made("Unigram", 1, 1000)(8_000),
    TokenizerError,
    "takes too long",
  );
});

Deno.test("a listed token has the id of the piece that it replaces", () => {
  const { pieces } = readSentencePieceFile(GEMMA).model;
  const id = pieces.findIndex(([text]) =>
    /^<.*>$/.test(text) && text.length > 4
  );
  const [old] = pieces[id], plain = open(GEMMA);
  const special = { content: "<|im_end|>", special: true };
  const changed = open(GEMMA, { added_tokens_decoder: { [id]: special } });
  assertEquals(plain.idOf(old), id);
  assertEquals([changed.idOf("<|im_end|>"), changed.idOf(old)], [
    id,
    undefined,
  ]);
  assertEquals(changed.encode("<|im_end|>", { special: true }), [id]);
  assertEquals(changed.decode([id], { skipSpecial: false }), "<|im_end|>");
  for (const text of texts) {
    if (text.includes(old) || text.includes("<|im_end|>")) continue;
    const want = plain.encode(text, { special: false });
    assertEquals(changed.encode(text, { special: false }), want, text);
  }
});
