"""The training data in memory: photos, token tables, and seeded random batches of (pixels, sequences, labels)."""

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from augment import colour_jitter, jpeg, normalise, random_crop, resample
from prompts import CAPTION, LONG, OBJECT, SHORT, head_text, questions

ANSWER = 32
# how often each caption prompt is asked: the four of CAPTION, SHORT, LONG
SHARES = [0.40, 0.12, 0.12, 0.16, 0.10, 0.10]
ASKED_SHARES = {"yes": 0.25, "no": 0.25, "colour": 0.3, "count": 0.2}


@dataclass
class Batch:
    pixels: torch.Tensor
    picture: torch.Tensor
    tokens: torch.Tensor
    labels: torch.Tensor
    weight: torch.Tensor
    droppable: torch.Tensor


class Words:
    """The tokenizer, and prompts and answers as padded token tables."""

    def __init__(self, path: Path, image_tokens: int, device: str) -> None:
        self.tokenizer = Tokenizer.from_file(str(path))
        self.image_tokens, self.device = image_tokens, device
        self.end = self.tokenizer.token_to_id("<end_of_utterance>")
        self.pad = self.tokenizer.token_to_id("<|im_end|>")
        self.special = len(json.loads(path.read_text())["added_tokens"])
        self.image_at = self.head_ids(CAPTION[0]).index(self.tokenizer.token_to_id("<image>"))
        self.heads: list[list[int]] = []
        self.answers: list[list[int]] = []
        self._head_of: dict[str, int] = {}
        self._answer_of: dict[str, int] = {}

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode([i for i in ids if i >= self.special]).strip()

    def head_ids(self, prompt: str) -> list[int]:
        return self.encode(head_text(prompt, self.image_tokens))

    def head(self, prompt: str) -> int:
        if prompt not in self._head_of:
            self._head_of[prompt] = len(self.heads)
            self.heads.append(self.head_ids(prompt))
        return self._head_of[prompt]

    def answer(self, text: str) -> int:
        if text not in self._answer_of:
            self._answer_of[text] = len(self.answers)
            self.answers.append([*self.encode(" " + text), self.end][:ANSWER])
        return self._answer_of[text]

    def freeze(self) -> None:
        """Turns the lists into tables once every prompt and answer is known."""
        device = self.device
        self.head_length = torch.tensor([len(h) for h in self.heads], device=device)
        self.first_label = int(self.head_length.min())
        longest = int(self.head_length.max())
        self.length = -(-(longest + ANSWER) // 8) * 8
        self.head_table = self._table(self.heads, self.length).to(device)
        self.answer_table = self._table(self.answers, ANSWER).to(device)

    def _table(self, rows: list[list[int]], width: int) -> torch.Tensor:
        table = torch.full((len(rows), width), self.pad)
        for i, row in enumerate(rows):
            table[i, : len(row)] = torch.tensor(row)
        return table

    def sequences(self, head: torch.Tensor, answer: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of head + answer + padding, and labels that are -100 outside the answer."""
        offset = torch.arange(self.length, device=self.device)[None] - self.head_length[head][:, None]
        inside = (offset >= 0) & (offset < ANSWER)
        answers = self.answer_table[answer].gather(1, offset.clamp(0, ANSWER - 1))
        tokens = torch.where(offset < 0, self.head_table[head], torch.where(inside, answers, self.pad))
        labels = torch.where(inside & (tokens != self.pad), tokens, -100)
        return tokens, labels


class Data:
    """Photos are numbered as in photos.pt; `part` maps "flickr train" and the like to numbers."""

    def __init__(self, root: Path, image_tokens: int, device: str) -> None:
        self.device = device
        meta = json.loads((root / "captions.json").read_text())
        kept = torch.load(root / "photos.pt", weights_only=True, mmap=True)
        self.photos = kept["pixels"].to(device)
        self.names = kept["names"]
        place = {name: i for i, name in enumerate(self.names)}
        self.part = {
            f"{source} {part}": torch.tensor([place[n] for n in meta[source][part] if n in place], device=device)
            for source in ("flickr", "coco")
            for part in ("train", "val")
        }
        self.captions = {i: meta["captions"][n] for n, i in place.items()}
        self.words = Words(root / "tokenizer.json", image_tokens, device)
        labels = json.loads((root / "labels.json").read_text())
        self._tables({place[n]: label for n, label in labels.items() if n in place})
        self.words.freeze()

    def _tables(self, labels: dict[int, str]) -> None:
        words, device = self.words, self.device
        self.caption_heads = torch.tensor([words.head(p) for p in [*CAPTION, SHORT, LONG]], device=device)
        self.object_heads = torch.tensor([words.head(p) for p in OBJECT], device=device)
        count = len(self.photos)
        self.answer = torch.zeros(count, 5, dtype=torch.long)
        self.flip = torch.full((count,), 0.5)
        self.several = torch.zeros(count, dtype=torch.bool)
        asked = {kind: [] for kind in ASKED_SHARES}
        objects = []
        for i in torch.cat([self.part["flickr train"], self.part["coco train"]]).tolist():
            captions = sorted(self.captions[i], key=lambda c: len(c.split()))
            ids = [words.answer(c) for c in captions]
            self.answer[i] = torch.tensor([ids[k * len(ids) // 5] for k in range(5)])
            self.several[i] = len(ids) >= 5
            if any(re.search(r"\b(left|right)\b", c.lower()) for c in captions):
                self.flip[i] = 0.0
            if i in labels:
                objects.append((i, words.answer(labels[i])))
            if len(ids) < 5:
                continue
            for kind, pairs in questions(captions[:5]).items():
                for question, answer in pairs:
                    row = (i, words.head(question), words.answer(answer))
                    asked[kind if kind != "yesno" else answer.lower().strip(".")].append(row)
        self.answer, self.flip = self.answer.to(device), self.flip.to(device)
        self.several = self.several.to(device)
        self.asked = {kind: torch.tensor(rows, device=device) for kind, rows in asked.items() if rows}
        self.balance = {kind: self._balance(rows) for kind, rows in self.asked.items()}
        self.objects = torch.tensor(objects or [(0, 0)], device=device)
        _, kind, count = self.objects[:, 1].unique(return_inverse=True, return_counts=True)
        self.object_balance = count[kind].float() ** -0.5

    @staticmethod
    def _balance(rows: torch.Tensor) -> torch.Tensor:
        """Sampling weights that make every question, and within it every answer, more even."""
        _, question, question_count = rows[:, 1].unique(return_inverse=True, return_counts=True)
        _, pair, pair_count = (rows[:, 1] * 100000 + rows[:, 2]).unique(return_inverse=True, return_counts=True)
        return 1.0 / (question_count[question].float().sqrt() * pair_count[pair].float().sqrt())

    def some(self, part: str, count: int) -> torch.Tensor:
        index = self.part[part]
        return index[torch.randint(len(index), (count,), device=self.device)]

    def crops(self, index: torch.Tensor, smallest: float, jitter: float = 0.2) -> torch.Tensor:
        """Random crops of photos with other colours, sharpness and JPEG quality; floats 0..255."""
        x = random_crop(self.photos, index, self.photos.shape[-1], smallest, 0.15, self.flip[index])
        return jpeg(resample(colour_jitter(x, jitter, 0.02), 0.4), 0.4)

    def _captions(self, index: torch.Tensor, each: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`each` prompts and captions for every photo; "in detail" and "briefly" only where a photo has several."""
        device, n = self.device, len(index) * each
        row = index.repeat(each)
        kind = torch.multinomial(torch.tensor(SHARES, device=device), n, replacement=True)
        kind = torch.where(self.several[row], kind, kind % len(CAPTION))
        first = torch.randint(5, (len(index),), device=device)
        column = torch.cat([(first + k) % 5 for k in range(each)])
        pick = torch.randint(2, (n,), device=device)
        column = torch.where(kind == 4, pick, torch.where(kind == 5, 3 + pick, column))
        return self.caption_heads[kind], self.answer[row, column]

    def batch(self, flickr: int, coco: int, objects: int, asks: int, smallest: float) -> Batch:
        """Photos with captions (two for each of Flickr8k's), photos with their main object, photos with a question."""
        device = self.device
        pixels, picture, heads, answers, at = [], [], [], [], 0

        def add(index: torch.Tensor, head: torch.Tensor, answer: torch.Tensor, least: float, jitter: float) -> None:
            nonlocal at
            n = len(index)
            pixels.append(self.crops(index, least, jitter))
            picture.append(at + torch.arange(n, device=device).repeat(len(head) // n))
            heads.append(head)
            answers.append(answer)
            at += n

        for part, count, each in (("flickr train", flickr, 2), ("coco train", coco, 1)):
            index = self.some(part, count)
            add(index, *self._captions(index, each), smallest, 0.2)
        captions = sum(len(h) for h in heads)
        if objects:
            rows = self.objects[torch.multinomial(self.object_balance, objects, replacement=True)]
            prompts = self.object_heads[torch.randint(len(self.object_heads), (objects,), device=device)]
            add(rows[:, 0], prompts, rows[:, 1], max(smallest, 0.6), 0.2)
        for kind, share in ASKED_SHARES.items():
            if asks and kind in self.asked:
                rows = torch.multinomial(self.balance[kind], max(1, int(asks * share)), replacement=True)
                rows = self.asked[kind][rows]
                add(rows[:, 0], rows[:, 1], rows[:, 2], max(smallest, 0.6), 0.1)
        tokens, labels = self.words.sequences(torch.cat(heads), torch.cat(answers))
        short = torch.arange(len(tokens), device=device) >= captions
        return Batch(
            pixels=normalise(torch.cat(pixels)),
            picture=torch.cat(picture),
            tokens=tokens,
            labels=labels,
            weight=torch.where(short, 1.5, 1.0),
            droppable=~short,
        )

    def view(self, index: list[int]) -> torch.Tensor:
        """Whole photos, as at inference."""
        return normalise(self.photos[torch.tensor(index, device=self.device)].float())


def seed_everything(seed: int) -> None:
    random.seed(seed)
    torch.manual_seed(seed)
