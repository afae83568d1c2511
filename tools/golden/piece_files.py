"""Small tokenizer.model files of every kind, and SentencePiece's ids and text of a corpus of traps: python piece_files.py ../../tests/golden/sentencepiece.json"""

import base64
import io
import json
import random
import sys
import tempfile
from pathlib import Path

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as pb

TRAPS = Path(__file__).parents[2] / "src/tokenizer/toy_golden.json"
SENTENCES = [
    "Describe this image. What is in the picture? Compare the two images and tell what differs.",
    "A black dog runs through the grass. A child in a red shirt jumps. Two people ride bicycles on the street.",
    "The hat of the other child is here; hello, he said, and held the hen.\n\nThen  they left   together, 12 of 345.",
]


def texts() -> list[str]:
    """The traps of the tokenizer's own golden file, and mixtures of them."""
    single = [case["text"] for case in json.loads(TRAPS.read_text())["cases"]]
    single += SENTENCES + ["aaaa thethe hehehe", "ﬁne Ångström ABBA　x", "  \n\n he hel hell ▁▁▁▁ ▁a", "<s>x</s> y <unk> <0x0A>"]
    draw = random.Random(5)
    return single + ["".join(draw.choices(single, k=draw.randint(2, 6))) for _ in range(60)]


# Characters that the small tables replace: ligature, capital, tab, line break, wide blank, nothing, two for one.
RULES = ["FB01\t66 69", "41\t61", "9\t20", "A\t20", "3000\t20", "200D\t", "65 301\tE9", "C5\t61 61"]
IDENTITY = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
BYTES = {"byte_fallback": True, **IDENTITY}
USER = ["<image>", "\n\n", "▁▁", "▁▁▁", "he", "hel"]


def unused(model: pb.ModelProto) -> None:
    """Every third longer piece only leads to others."""
    longer = [p for p in model.pieces if p.type == 1 and len(p.piece) > 2]
    for p in longer[::3]:
        p.type = 5


def ties(model: pb.ModelProto) -> None:
    """Many pieces of one score."""
    for p in model.pieces:
        p.score = float(round(p.score / 8))


def train(edit=None, rules=False, **options) -> bytes:
    """A model of about 420 pieces (256 of them bytes, where there are such), trained on our own sentences."""
    corpus = [t for t in [*SENTENCES * 4, *texts()[:40]] if t.strip() and "\0" not in t]
    out = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
        if rules:
            table.write("\n".join(RULES) + "\n")
            table.flush()
            options["normalization_rule_tsv"] = table.name
        size = 420 if options.get("byte_fallback") else 200
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus), model_writer=out, vocab_size=size, hard_vocab_limit=False,
            character_coverage=0.98, minloglevel=2, num_threads=1, **options,
        )
    model = pb.ModelProto.FromString(out.getvalue())
    if edit:
        edit(model)
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    return model.SerializeToString()


KINDS = {
    "BPE, a space in front, bytes": {"model_type": "bpe", **BYTES},
    "BPE, no space in front, user-defined pieces": {
        "model_type": "bpe", "add_dummy_prefix": False, "user_defined_symbols": USER, **BYTES},
    "BPE, table of characters, no bytes": {"model_type": "bpe", "rules": True},
    "BPE, unused pieces": {"model_type": "bpe", "edit": unused, **BYTES},
    "BPE, equal scores": {"model_type": "bpe", "edit": ties, **BYTES},
    "unigram, table of characters, no bytes": {"model_type": "unigram", "rules": True},
    "unigram, bytes, user-defined pieces": {"model_type": "unigram", "user_defined_symbols": USER, **BYTES},
    "unigram, unused pieces, no space in front": {
        "model_type": "unigram", "edit": unused, "add_dummy_prefix": False, **BYTES},
}

corpus = [t for t in dict.fromkeys(texts()) if t.encode("utf-8", "ignore").decode() == t and "<image>" not in t][:140]
kinds = []
for name, options in KINDS.items():
    model = train(**options)
    p = spm.SentencePieceProcessor(model_proto=model)
    ids = [p.encode(t) for t in corpus]
    # text of ids without the unknown piece, which has none of its own
    decoded = [None if p.unk_id() in i else p.decode(i) for i in ids]
    kinds.append({"name": name, "model": base64.b64encode(model).decode(), "ids": ids, "decoded": decoded})
comment = f"Small models that SentencePiece {spm.__version__} trained on our own sentences, and its ids and text of a corpus of traps (tools/golden/piece_files.py)."
lines = [json.dumps(kind, ensure_ascii=True) for kind in kinds]
Path(sys.argv[1]).write_text(
    '{"_comment": ' + json.dumps(comment) + ',\n"texts": ' + json.dumps(corpus) + ',\n"kinds": [\n' + ",\n".join(lines) + "\n]}\n")
for kind in kinds:
    print(kind["name"], len(base64.b64decode(kind["model"])), "bytes,", len(kind["ids"]), "texts")
