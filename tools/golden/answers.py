"""What every golden script with a processor of transformers' does: it saves a checkpoint, asks its prompts, and looks in
on the way.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from family import STEPS, comment, greedy, picture, summary, user, write_json


def save(out: Path, model: torch.nn.Module) -> None:
    """The checkpoint in fp16, which random weights fit exactly; the model goes on in fp32."""
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    model.half().save_pretrained(out)
    model.float()


def save_words(out: Path, tokenizer, template: str, **tokens: str) -> None:
    """Vocabulary, chat template, and the names of its special tokens."""
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    write_json(out / "tokenizer_config.json", tokens)
    (out / "chat_template.jinja").write_text(template)


def watching(module: torch.nn.Module, rows_of: Callable, output: bool = False) -> Callable[[dict], tuple]:
    """How to look at pictures: (what enters `module`, or comes out of it; rows of the text stream)."""

    def look(given: dict) -> tuple[torch.Tensor, torch.Tensor]:
        seen = []

        def keep(x: torch.Tensor) -> None:
            seen.append(x.reshape(-1, x.shape[-1]))

        hook = (
            module.register_forward_hook(lambda _m, _a, y: keep(y))
            if output
            else module.register_forward_pre_hook(lambda _m, a: keep(a[0]))
        )
        rows = rows_of(given)
        hook.remove()
        return torch.cat(seen), rows

    return look


def answers(
    processor,
    prompts: dict[str, list[str]],
    look: Callable[[dict], tuple],
    hashes: Callable,
    answer: Callable,
    options: Callable[[str], dict] = lambda _name: {},
    fields: Callable[[str], dict] = lambda _name: {},
) -> list[dict]:
    """Items of the golden file.

    look: as `watching` makes it; hashes(picture, **options): of the bytes its resize leaves; answer(ids, **inputs): the
    model's greedy steps, or the model itself; options and fields: of the processor and of the item, by prompt.
    """
    items = []
    step = answer if not isinstance(answer, torch.nn.Module) else lambda ids, **more: greedy(answer, ids, STEPS, **more)
    for name, parts in prompts.items():
        names = [p for p in parts if p.startswith("formula:")]
        text = processor.apply_chat_template(user(*parts), add_generation_prompt=True, tokenize=False)
        pictures = [picture(n) for n in names]
        inputs = processor(images=[pictures] if names else None, text=[text], return_tensors="pt", **options(name))
        ids = inputs["input_ids"][0].tolist()
        item, given = {"name": name, "parts": parts, "input_ids": ids} | fields(name), {}
        if names:
            given = {
                k: v
                for k, v in inputs.items()
                if k.startswith(("pixel", "image_grid", "image_sizes", "batch_num", "spatial"))
            }
            item["pixels_sha256"] = [h for p in pictures for h in hashes(p, **options(name))]
            seen, rows = look(given)
            item["vision"], item["connector"] = summary(seen), summary(rows)
        item["steps"] = step(ids, **given)
        items.append(item)
        print(name, len(ids), [s["ids"][0] for s in item["steps"]], flush=True)
    return items


def write_golden(out: Path, script: str, note: str, items: list[dict], **more) -> None:
    """The golden file, and how it was made."""
    write_json(out / "golden.json", {"_comment": comment(script, note), "items": items} | more)
