"""A toy vocabulary of SentencePiece kind (BPE over characters, bytes for the rest) and tokenizers' ids of a corpus of traps."""

import json

from family import CORPUS
from ranked import texts
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, trainers


def piece_tokenizer(vocabulary: int, added: list[str]) -> Tokenizer:
    """<unk>, <s>, </s>, 256 bytes, then pieces, `vocabulary` in all; then the added tokens. As InternLM2Converter makes it."""
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    trained = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    trained.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=first, show_progress=False)
    trained.train_from_iterator(CORPUS, trainer)
    assert trained.get_vocab_size() == vocabulary, trained.get_vocab_size()
    whole = json.loads(trained.to_str())
    whole["added_tokens"] = [t for t in whole["added_tokens"] if not t["content"].startswith("<0x")]
    trained = Tokenizer.from_str(json.dumps(whole))
    trained.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trained.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in added])
    return trained


def words(tokenizer: Tokenizer, special: list[str]) -> list[dict]:
    """Its ids of the traps that spell no special token."""
    plain = [t for t in texts() if not any(s in t for s in ["<unk>", "<s>", "</s>", "<0x", *special])]
    return [{"text": t, "ids": tokenizer.encode(t, add_special_tokens=False).ids} for t in plain]
