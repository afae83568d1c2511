"""A toy vocabulary of SentencePiece kind (BPE over characters, bytes for the rest) and tokenizers' ids of a corpus of traps."""

import json

from family import CORPUS
from ranked import texts
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, trainers


def trained(vocabulary: int, first: list[str], normalizer, corpus: list[str]) -> dict:
    """A tokenizer.json of `vocabulary` pieces: `first`, 256 bytes, what a corpus joins to."""
    bytes_of = [f"<0x{b:02X}>" for b in range(256)]
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    blanks = normalizers.Replace(" ", "▁")
    t.normalizer = normalizers.Sequence([normalizer, blanks]) if normalizer else blanks
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=first + bytes_of, show_progress=False)
    t.train_from_iterator(corpus, trainer)
    assert t.get_vocab_size() == vocabulary, t.get_vocab_size()
    whole = json.loads(t.to_str())
    whole["added_tokens"] = [t for t in whole["added_tokens"] if not t["content"].startswith("<0x")]
    return whole


def piece_tokenizer(vocabulary: int, added: list[str]) -> Tokenizer:
    """<unk>, <s>, </s>, 256 bytes, then pieces, `vocabulary` in all; then the added tokens. As InternLM2Converter makes it."""
    whole = trained(vocabulary, ["<unk>", "<s>", "</s>"], normalizers.Prepend("▁"), CORPUS)
    t = Tokenizer.from_str(json.dumps(whole))
    t.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    t.add_special_tokens([AddedToken(a, special=True, normalized=False) for a in added])
    return t


def words(tokenizer: Tokenizer, special: list[str]) -> list[dict]:
    """Its ids of the traps that spell no special token."""
    plain = [t for t in texts() if not any(s in t for s in ["<unk>", "<s>", "</s>", "<0x", *special])]
    return [{"text": t, "ids": tokenizer.encode(t, add_special_tokens=False).ids} for t in plain]
