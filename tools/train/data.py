"""The training data in memory: pictures, token tables, and seeded random batches of (pixels, sequences, labels)."""

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from augment import colour_jitter, erase, normalise, random_crop
from metrics import Cider
from packs import read_pack
from prompts import CAPTION, LONG, OBJECT, SHORT, head_text, questions

ANSWER = 32
CAPTION_SHARES = [0.40, 0.12, 0.12, 0.16, 0.10, 0.10]


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
        self.image_at = self.heads[0].index(self.tokenizer.token_to_id("<image>"))
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
    def __init__(self, root: Path, image_tokens: int, device: str, consensus: float = 0.0, limit: int | None = None):
        """consensus > 0 draws captions with weight exp(consensus * CIDEr-D against the photo's other captions)."""
        meta = json.loads((root / "captions.json").read_text())
        names = json.loads((root / "photos.json").read_text())["names"]
        self.photos = torch.from_numpy(read_pack(root / "photos", limit)).to(device)
        names = names[: len(self.photos)]
        place = {name: i for i, name in enumerate(names)}
        self.names, self.device = names, device
        self.split = {s: [place[n] for n in meta[s] if n in place] for s in ("train", "val", "test")}
        self.captions = {place[n]: c for n, c in meta["captions"].items() if n in place}
        self.text_only = meta["text_only"]
        self.train = torch.tensor(self.split["train"], device=device)
        self._objects(root, limit)
        self.words = Words(root / "tokenizer.json", image_tokens, device)
        self._tables(consensus)
        self.words.freeze()

    def _objects(self, root: Path, limit: int | None) -> None:
        self.objects = torch.from_numpy(read_pack(root / "tin", limit)).to(self.device)
        labels = json.loads((root / "tin.json").read_text())["labels"][: len(self.objects)]
        names = json.loads((Path(__file__).parent / "object_names.json").read_text())
        self.object_answers = [names[label] for label in labels]
        classes = sorted(set(labels))
        self.object_class = torch.tensor([classes.index(label) for label in labels], device=self.device)
        held = len(self.objects) // 50
        self.object_val = list(range(held))
        self.object_train = torch.arange(held, len(self.objects), device=self.device)

    def _tables(self, consensus: float) -> None:
        words, device = self.words, self.device
        self.caption_heads = torch.tensor([words.head(p) for p in [*CAPTION, SHORT, LONG]], device=device)
        self.object_heads = torch.tensor([words.head(p) for p in OBJECT], device=device)
        self.object_answer = torch.tensor([words.answer(a) for a in self.object_answers], device=device)
        count = len(self.photos)
        self.caption_answer = torch.zeros(count, 5, dtype=torch.long)
        self.caption_share = torch.ones(count, 5)
        self.flip = torch.full((count,), 0.5)
        cider = Cider({i: self.captions[i] for i in self.split["train"]}) if consensus > 0 else None
        asked = {"yes": [], "no": [], "colour": [], "count": []}
        for i in self.split["train"]:
            captions = sorted(self.captions[i], key=lambda c: len(c.split()))
            self.caption_answer[i] = torch.tensor([words.answer(c) for c in captions])
            if cider:
                order = [self.captions[i].index(c) for c in captions]
                scores = [cider.score(i, c, skip=k) for c, k in zip(captions, order)]
                self.caption_share[i] = torch.softmax(torch.tensor(scores) * consensus, 0)
            if any(re.search(r"\b(left|right)\b", c.lower()) for c in captions):
                self.flip[i] = 0.0
            for kind, pairs in questions(captions).items():
                for question, answer in pairs:
                    row = (i, words.head(question), words.answer(answer))
                    asked[kind if kind != "yesno" else answer.lower().strip(".")].append(row)
        self.caption_answer, self.caption_share = self.caption_answer.to(device), self.caption_share.to(device)
        self.flip = self.flip.to(device)
        self.asked = {kind: torch.tensor(rows, device=device) for kind, rows in asked.items() if rows}
        self.balance = {kind: self._balance(rows) for kind, rows in self.asked.items()}

    @staticmethod
    def _balance(rows: torch.Tensor) -> torch.Tensor:
        """Sampling weights that make every question, and within it every answer, more even."""
        _, question, question_count = rows[:, 1].unique(return_inverse=True, return_counts=True)
        _, pair, pair_count = (rows[:, 1] * 100000 + rows[:, 2]).unique(return_inverse=True, return_counts=True)
        return 1.0 / (question_count[question].float().sqrt() * pair_count[pair].float().sqrt())

    def crops(self, index: torch.Tensor, smallest: float, jitter: float, erased: float) -> torch.Tensor:
        x = random_crop(self.photos, index, 224, smallest, 0.15, self.flip[index])
        return erase(colour_jitter(x, jitter, 0.02), erased)

    def object_crops(self, index: torch.Tensor) -> torch.Tensor:
        return colour_jitter(random_crop(self.objects, index, 224, 0.4, 0.15, 0.5), 0.2, 0.02)

    def caption_batch(
        self, photos: int, captions_each: int, objects: int, asks: int, smallest: float, jitter: float, erased: float
    ) -> Batch:
        """`photos` crops with `captions_each` captions, `objects` labelled pictures, `asks` photos with a question."""
        device, words = self.device, self.words
        index = self.train[torch.randint(len(self.train), (photos,), device=device)]
        row = torch.arange(photos, device=device).repeat(captions_each)
        kind = torch.multinomial(torch.tensor(CAPTION_SHARES, device=device), photos * captions_each, replacement=True)
        column = torch.multinomial(self.caption_share[index], captions_each).T.flatten()
        pick = torch.randint(2, (len(row),), device=device)
        column = torch.where(kind == 4, pick, torch.where(kind == 5, 3 + pick, column))
        picture, heads = [row], [self.caption_heads[kind]]
        answers = [self.caption_answer[index[row], column]]
        pixels = [self.crops(index, smallest, jitter, erased)]

        thing = self.object_train[torch.randint(len(self.object_train), (objects,), device=device)]
        pixels.append(self.object_crops(thing))
        picture.append(photos + torch.arange(objects, device=device))
        heads.append(self.object_heads[torch.randint(len(self.object_heads), (objects,), device=device)])
        answers.append(self.object_answer[thing])

        asked_photos = []
        for name, share in {"yes": 0.25, "no": 0.25, "colour": 0.3, "count": 0.2}.items():
            if name in self.asked and asks:
                chosen = torch.multinomial(self.balance[name], max(1, int(asks * share)), replacement=True)
                rows = self.asked[name][chosen]
                asked_photos.append(rows[:, 0])
                heads.append(rows[:, 1])
                answers.append(rows[:, 2])
        if asked_photos:
            asked_index = torch.cat(asked_photos)
            pixels.append(self.crops(asked_index, max(smallest, 0.6), jitter * 0.5, 0.0))
            picture.append(photos + objects + torch.arange(len(asked_index), device=device))

        tokens, labels = words.sequences(torch.cat(heads), torch.cat(answers))
        short = torch.arange(len(tokens), device=device) >= photos * captions_each
        return Batch(
            pixels=normalise(torch.cat(pixels)),
            picture=torch.cat(picture),
            tokens=tokens,
            labels=labels,
            weight=torch.where(short, 2.0, 1.0),
            droppable=~short,
        )

    def distill_batch(self, photos: int, objects: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Strongly cropped pictures for the tower alone, and their object class (-100: none). A quarter is blended."""
        device = self.device
        index = self.train[torch.randint(len(self.train), (photos,), device=device)]
        thing = self.object_train[torch.randint(len(self.object_train), (objects,), device=device)]
        a = random_crop(self.photos, index, 224, 0.15, 0.25, 0.5)
        b = random_crop(self.objects, thing, 224, 0.4, 0.25, 0.5)
        x = normalise(colour_jitter(torch.cat([a, b]), 0.3, 0.05))
        label = torch.full((len(x),), -100, device=device)
        label[photos:] = self.object_class[thing]
        blend = torch.rand(len(x), device=device) < 0.25
        share = torch.where(blend, 0.5 + 0.5 * torch.rand(len(x), device=device), 1.0).view(-1, 1, 1, 1)
        x = share * x + (1 - share) * x[torch.randperm(len(x), device=device)]
        return x, torch.where(blend, -100, label)

    def view(self, index: list[int]) -> torch.Tensor:
        """Whole photos, as at inference."""
        return normalise(self.photos[torch.tensor(index, device=self.device)].float())


def seed_everything(seed: int) -> None:
    random.seed(seed)
    torch.manual_seed(seed)
