"""Tensor names and shapes of a model at its published size, as the files of sizes keep them.

Layers are written once: "{24}" stands for 0…23, "{2,5,}" for 2 and 5 alone, where not all layers have that tensor.
"""

import json
import re
from pathlib import Path

LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks|resblocks|h)\.(\d+)\.")


def fold(shapes: dict[str, list[int]]) -> dict[str, list[int]]:
    """Names with their layers folded, in the order in which they come first."""
    counts: dict[str, int] = {}
    found: dict[tuple[str, str], list[int]] = {}
    for name in shapes:
        if m := LAYER.search(name):
            begin, end = m.span(1)
            counts[name[:begin]] = max(counts.get(name[:begin], 0), int(m[1]) + 1)
            found.setdefault((name[:begin], name[end:]), []).append(int(m[1]))
    out = {}
    for name, shape in shapes.items():
        if m := LAYER.search(name):
            begin, end = m.span(1)
            layers, count = found[name[:begin], name[end:]], counts[name[:begin]]
            some = f"{count}" if layers == list(range(count)) else "".join(f"{i}," for i in layers)
            name = f"{name[:begin]}{{{some}}}{name[end:]}"
        assert out.get(name, shape) == shape, f"{name}: {out[name]} and {shape}"
        out[name] = shape
    return out


def write_sizes(path: str, script: str, versions: str, models: dict[str, dict]) -> None:
    """The file: a model a line."""
    how = (
        f"Made by tools/golden/{script} with {versions}, on torch's meta device: config and tensor shapes of the "
        "published sizes as code and documentation name them, layers folded (tools/golden/sizes.py). No weights; a "
        "checkpoint's own config.json decides."
    )
    text = json.dumps({"_comment": how} | models, separators=(",", ":"), default=str)
    Path(path).write_text(text.replace('},"', '},\n"') + "\n")
