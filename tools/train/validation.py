"""Captions of the validation photos, greedy, and their scores."""

import torch

from common import half, log
from data import Data, Words
from metrics import Cider, repeats
from model import Captioner, generate
from prompts import CAPTION

BATCH = 40


@torch.no_grad()
def answers(model: Captioner, words: Words, pixels: torch.Tensor, prompt: str, max_new: int = 32) -> list[str]:
    out = generate(model, pixels, words.head_ids(prompt), words.image_at, words.end, words.pad, max_new)
    return [words.decode(row) for row in out.tolist()]


class Validation:
    """CIDEr-D on the validation photos of both sources; COCO's photos are captioned as they are and mirrored."""

    def __init__(self, data: Data, device: str) -> None:
        self.data, self.device, self.best = data, device, -1.0
        self.keys = {source: data.part[f"{source} val"].tolist() for source in ("flickr", "coco")}
        self.cider = {s: Cider({i: data.captions[i] for i in keys}) for s, keys in self.keys.items()}

    def captions(self, model: Captioner, source: str, mirrored: bool = False) -> dict[int, str]:
        found: dict[int, str] = {}
        for i in range(0, len(self.keys[source]), BATCH):
            part = self.keys[source][i : i + BATCH]
            x = self.data.view(part)
            with half(self.device):
                found.update(zip(part, answers(model, self.data.words, x.flip(-1) if mirrored else x, CAPTION[0])))
        return found

    def better(self, model: Captioner, label: str) -> bool:
        """Logs the scores; true if this is the best model so far."""
        model.eval()
        flickr, coco, mirror = (self.captions(model, *way) for way in (("flickr",), ("coco",), ("coco", True)))
        a, b, c = self.cider["flickr"].mean(flickr), self.cider["coco"].mean(coco), self.cider["coco"].mean(mirror)
        texts = [*flickr.values(), *coco.values(), *mirror.values()]
        again = sum(repeats(t) > 0 for t in texts) / len(texts)
        score = a + (b + c) / 2 - again
        log(f"{label} flickr {a:.3f} coco {b:.3f} mirrored {c:.3f} repeats {again:.3f} | {list(coco.values())[:3]}")
        if score > self.best:
            self.best = score
            return True
        return False
