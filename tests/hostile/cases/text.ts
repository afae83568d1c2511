/** Tokenizers, configs, image settings and chat templates that break a rule each. */
import { toyTokenizerJson } from "../../toy_tokenizer.ts";
import { toyCheckpoint } from "../../toy.ts";
import { bytesOf, type Case, jsonOf } from "./case.ts";

const TOY = JSON.parse(toyTokenizerJson());
const tokenizer = (changes: object) => jsonOf({ ...TOY, ...changes });
const bpe = (changes: object) =>
  tokenizer({ model: { ...TOY.model, ...changes } });
const added = (...tokens: unknown[]) => tokenizer({ added_tokens: tokens });
const word = (id: unknown) => bpe({ vocab: { ...TOY.model.vocab, zz: id } });
const split = (pattern: unknown, behavior = "Isolated") =>
  tokenizer({ pre_tokenizer: { type: "Split", pattern, behavior } });
const nested = (depth: number): unknown =>
  depth === 0 ? null : { type: "Sequence", normalizers: [nested(depth - 1)] };

/** A tokenizer.json of a SentencePiece model with `pieces`; `normal` changes its normalizer, `model` its model. */
const pieced = (pieces: unknown, normal: object = {}, model: object = {}) =>
  tokenizer({
    added_tokens: [],
    pre_tokenizer: null,
    normalizer: {
      type: "SentencePiece",
      precompiled_charsmap: "",
      prefix: "always",
      remove_extra_whitespaces: true,
      ...normal,
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
      ],
    },
    model: { type: "SentencePiece", algorithm: "Unigram", pieces, ...model },
  });
const PIECES = [["?", 0, 2], ["a", -1, 1]];
/** A table of characters: a trie of `units`, then texts. */
const charsmap = (units: number[], texts: string) => ({
  precompiled_charsmap: new Uint8Array([
    ...new Uint8Array(Uint32Array.of(4 * units.length, ...units).buffer),
    ...bytesOf(texts),
  ]).toBase64(),
});

const E = "TokenizerError";

/** tokenizer.json. */
export const TOKENIZER: readonly Case[] = [
  [E, "nothing", bytesOf("")],
  [E, "a list", bytesOf("[]")],
  [E, "null", bytesOf("null")],
  [E, "a million brackets less a few", bytesOf("[".repeat(50_000))],
  [E, "no model", tokenizer({ model: null })],
  [E, "another model", bpe({ type: "WordPiece" })],
  [E, "a type of the prototype", bpe({ type: "__proto__" })],
  [E, "an id below zero", word(-1)],
  [E, "an id of 2^32", word(2 ** 32)],
  [E, "an id of half a number", word(1.5)],
  [E, "an id as text", word("<0x-1>")],
  [E, "an id twice", word(0)],
  [E, "no token for a byte", bpe({ vocab: {} })],
  [E, "a merge of the unknown", bpe({ merges: [["q", "zzz"]] })],
  [E, "a merge of three", bpe({ merges: [["a", "b", "c"]] })],
  [E, "merges as a number", bpe({ merges: 7 })],
  [E, "dropout", bpe({ dropout: 0.1 })],
  [E, "an added token without text", added({ id: 300, content: "" })],
  [E, "an added token of id 2^53", added({ id: 2 ** 53, content: "x" })],
  [E, "an added token over a word", added({ id: 0, content: "x" })],
  [E, "a pattern that is none", split({ Regex: "(" })],
  [E, "a pattern of 5000 characters", split({ Regex: "a".repeat(5000) })],
  [E, "a pattern of loops in loops", split({ Regex: "(a+)+b" })],
  [E, "a pattern of loops after loops", split({ Regex: "a*a*a*b" })],
  [
    E,
    "a pattern of thirty choices",
    split({ Regex: `${"a?".repeat(30)}${"a".repeat(30)}` }),
  ],
  [E, "a pattern with a look behind by name", split({ Regex: "\\k<x>" })],
  [
    E,
    "a behaviour that is not known",
    split({ String: " " }, "MergedWithNext"),
  ],
  [E, "normalizers a hundred deep", tokenizer({ normalizer: nested(100) })],
  [E, "pieces as a number", pieced(7)],
  [E, "a piece without text", pieced([["", 0, 2]])],
  [E, "a piece of 2000 characters", pieced([["a".repeat(2000), 0, 1]])],
  [E, "a piece twice", pieced([...PIECES, ["a", -2, 1]])],
  [E, "a piece of no kind", pieced([["a", 0, 7]])],
  [E, "a score that is text", pieced([["a", "1", 1]])],
  [E, "no unknown piece", pieced([["a", -1, 1]])],
  [E, "no pieces of bytes", pieced(PIECES, {}, { byte_fallback: true })],
  [E, "pieces joined by words", pieced(PIECES, {}, { algorithm: "WORD" })],
  [E, "a space nowhere", pieced(PIECES, { prefix: "last" })],
  [
    E,
    "a table of characters that is not base64",
    pieced(PIECES, { precompiled_charsmap: "$" }),
  ],
  [
    E,
    "a table of characters that ends early",
    pieced(PIECES, { precompiled_charsmap: "/////w==" }),
  ],
  [
    E,
    "a table of characters that points outside",
    pieced(PIECES, charsmap([0xfffffc00], "")),
  ],
  [E, "another decoder", tokenizer({ decoder: { type: "Metaspace" } })],
];

const { config: CONFIG } = toyCheckpoint();
const config = (changes: object) => jsonOf({ ...CONFIG, ...changes });
const tower = (name: "vision_config" | "text_config", changes: object) =>
  config({ [name]: { ...CONFIG[name] as object, ...changes } });

/** config.json. */
export const CONFIGS: readonly Case[] = [
  ["RangeError", "another architecture", config({ model_type: "mllama" })],
  [
    "RangeError",
    "an architecture of the prototype",
    config({ model_type: "toString" }),
  ],
  ["RangeError", "no tower", config({ vision_config: [] })],
  [
    "RangeError",
    "a billion layers",
    tower("text_config", { num_hidden_layers: 1e9 }),
  ],
  [
    "RangeError",
    "513 layers",
    tower("vision_config", { num_hidden_layers: 513 }),
  ],
  [
    "RangeError",
    "no heads",
    tower("vision_config", { num_attention_heads: 0 }),
  ],
  [
    "RangeError",
    "a width below zero",
    tower("text_config", { hidden_size: -48 }),
  ],
  [
    "RangeError",
    "a width of 2^53",
    tower("text_config", { hidden_size: 2 ** 53 }),
  ],
  [
    "RangeError",
    "a width as text",
    tower("text_config", { hidden_size: "48" }),
  ],
  [
    "RangeError",
    "another activation",
    tower("text_config", { hidden_act: "constructor" }),
  ],
  [
    "RangeError",
    "a vocabulary that the checkpoint has not",
    tower("text_config", { vocab_size: 2 ** 30 }),
  ],
  [
    "RangeError",
    "a patch larger than the image",
    tower("vision_config", { patch_size: 1000 }),
  ],
  ["RangeError", "a factor of zero", config({ scale_factor: 0 })],
  ["RangeError", "text instead of an object", bytesOf('"config"')],
];

const GOOD = {
  size: { height: 16, width: 16 },
  resample: 2,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
};
const settings = (changes: object) => jsonOf({ ...GOOD, ...changes });

/** preprocessor_config.json. */
export const PROCESSOR: readonly Case[] = [
  ["settings", "no JSON", bytesOf("{")],
  ["settings", "null", bytesOf("null")],
  ["settings", "a key twice", bytesOf('{"resample":2,"resample":3}')],
  [
    "settings",
    "a side of 2^31",
    settings({ size: { height: 2 ** 31, width: 16 } }),
  ],
  ["settings", "a side of zero", settings({ size: { height: 0, width: 16 } })],
  ["settings", "another filter", settings({ resample: 5 })],
  ["settings", "a deviation of zero", settings({ image_std: [0, 1, 1] })],
  ["settings", "a mean of text", settings({ image_mean: ["0", 0, 0] })],
  ["settings", "two means", settings({ image_mean: [0, 0] })],
  ["settings", "a factor of 1e308", settings({ rescale_factor: 1e308 })],
  ["settings", "tiles without a size", settings({ do_image_splitting: true })],
  [
    "settings",
    "a million tiles",
    settings({
      image_processor_type: "GotOcr2ImageProcessor",
      max_patches: 1e6,
    }),
  ],
];

/** Chat templates. */
export const TEMPLATE: readonly Case[] = [
  [E, "no image", bytesOf("{% for m in messages %}{{ m.role }}{% endfor %}")],
  [E, "the image twice", bytesOf("<image><image>{{ messages }}")],
  [E, "a block that does not end", bytesOf("{% for m in messages %}")],
  [
    E,
    "a range of a billion",
    bytesOf("{% for i in range(1000000000) %}x{% endfor %}"),
  ],
  [
    E,
    "loops in loops in loops",
    bytesOf(
      "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
    ),
  ],
  [
    E,
    "a text that doubles sixty times",
    bytesOf(`{% set x = 'aaaa' %}${"{% set x = x ~ x %}".repeat(60)}{{ x }}`),
  ],
  [
    E,
    "a list that doubles sixty times",
    bytesOf(`{% set x = [1,2] %}${"{% set x = x + x %}".repeat(60)}`),
  ],
  [
    E,
    "a list within lists, printed",
    bytesOf(`{% set x = [1] %}${"{% set x = [x, x] %}".repeat(60)}{{ x }}`),
  ],
  [
    E,
    "a long text in capitals again and again",
    bytesOf(
      "{% set n = namespace(s='aaaaaaaaaa') %}{% for i in range(17) %}{% set n.s = n.s ~ n.s %}{% endfor %}{% for i in range(9000) %}{% set t = n.s | upper %}{% endfor %}",
    ),
  ],
  [
    E,
    "a namespace within itself, printed",
    bytesOf("{% set n = namespace(a=1) %}{% set n.a = [n] %}{{ n | tojson }}"),
  ],
  [
    E,
    "a macro that calls itself",
    bytesOf("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
  ],
  [
    E,
    "the constructor",
    bytesOf("{{ messages.constructor.constructor('return Deno')() }}"),
  ],
  [
    E,
    "the classes of Python",
    bytesOf("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
  ],
  [E, "an import", bytesOf("{% import 'os' as os %}{{ os.system('id') }}")],
  [E, "markers of its own", bytesOf("\u{F0000}0\u{F0001}<image>")],
  [E, "100,000 characters", bytesOf("x".repeat(100_000))],
];
