"""Pseudo-checkpoints: a model whose attention weights are mixed with noise. They are no training.

They stand in where no checkpoints of a real model can be had. A matrix W of the attention
becomes s W + (1 - s) sd(W) Z, where s is its trained share and Z standard normal, the same at
every share of one draw. So ability falls with s, from that of the model to chance. All other
weights are the model's own and lie in one file that all pseudo-checkpoints link to.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from itemwise.errors import UserError
from itemwise.tables.files import write_text
from itemwise.tiny_models.real_model import packed

MIXED, REST = "attention.safetensors", "rest.safetensors"
INDEX = "model.safetensors.index.json"
SOURCE = "source"
"""Of which model the shared files are; not JSON, since a model's identity counts those."""
RECORD = "mixture.json"
"""What a pseudo-checkpoint was made of; written last."""
NOTE = ("pseudo-checkpoints: attention weights of a trained model mixed with noise; the axis is "
        "their trained share, no training")  # fmt: skip


def unpack(source: Path, shared: Path) -> dict:
    """Write a model's settings, tokenizer and weights as pseudo-checkpoints share them.

    Parameters
    ----------
    source : path
        Folder of a transformers model, or of one GGUF file.
    shared : path
        Folder to write; one that is there is kept.

    Returns
    -------
    dict
        The weights that are mixed: tensor in bfloat16 by name.

    Raises
    ------
    UserError
        The model does not load, has no attention weights, or the folder is of another one.
    """
    from safetensors.torch import load_file, save_file

    known = shared / SOURCE
    if known.exists() and known.read_text(encoding="utf-8") != str(source.resolve()):
        raise UserError(
            f"{shared.parent}: holds mixtures of {known.read_text(encoding='utf-8')}; choose "
            "another --out"
        )
    if not known.exists():
        made = shared.with_name(f".{shared.name}.tmp")
        shutil.rmtree(made, ignore_errors=True)
        model, tokenizer = load(source)
        weights = {name: p.detach() for name, p in model.named_parameters()}
        mixed = {name: w for name, w in weights.items() if "attn" in name and w.dim() == 2}
        if not mixed:
            raise UserError(f"{source}: has no matrix with 'attn' in its name; give another model")
        model.config.save_pretrained(made)
        tokenizer.save_pretrained(made)
        rest = {name: w for name, w in weights.items() if name not in mixed}
        for file, part in ((MIXED, mixed), (REST, rest)):
            save_file(part, made / file, {"format": "pt"})
        places = {name: MIXED if name in mixed else REST for name in weights}
        size = sum(w.nbytes for w in weights.values())
        write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": places}),
                   made / INDEX)  # fmt: skip
        write_text(str(source.resolve()), made / SOURCE)
        shutil.rmtree(shared, ignore_errors=True)
        made.rename(shared)
    return load_file(shared / MIXED)


def load(source: Path):
    """Return model, in bfloat16, and tokenizer of a folder.

    Raises
    ------
    UserError
        Either does not load.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    how = packed(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **how)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **how)
        model = model.to(torch.bfloat16)
        model.config = AutoConfig.from_pretrained(source, **how)  # that of a GGUF says quantized
    except (OSError, ValueError, ImportError) as error:
        text = str(error).strip().splitlines()[0][:300]
        raise UserError(f"{source}: does not load ({text}); give the folder of a model") from error
    return model, tokenizer


def mix(trained: dict, shares: Sequence[float], draw: int, shared: Path, folder: Path) -> None:
    """Write the pseudo-checkpoints of one draw of noise; those that are there are kept.

    Parameters
    ----------
    trained : dict
        Of `unpack`.
    shares : sequence of float
        Trained shares, above 0 to 1.
    draw : int
        Seed of the noise.
    shared : path
        What all share.
    folder : path
        Gets a folder for each share, such as `65-percent`.
    """
    import torch
    from safetensors.torch import save_file

    wanted = {share: {"trained_share": share, "draw": draw, "note": NOTE} for share in shares}
    lacking = [share for share in shares if _record(folder / name(share)) != wanted[share]]
    if not lacking:
        return
    random = torch.Generator().manual_seed(draw)
    noise = {key: torch.randn(w.shape, generator=random) * w.float().std()
             for key, w in sorted(trained.items())}  # fmt: skip
    for share in lacking:
        place = folder / name(share)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for file in shared.iterdir():
            if file.name not in (MIXED, SOURCE):
                (place / file.name).symlink_to(os.path.relpath(file, place))
        made = {key: (share * w.float() + (1 - share) * noise[key]).to(w.dtype)
                for key, w in trained.items()}  # fmt: skip
        save_file(made, place / MIXED, {"format": "pt"})
        write_text(json.dumps(wanted[share]), place / RECORD)


def describe(model: str, shares: Sequence[float], folder: Path) -> pd.DataFrame:
    """Return the table `checkpoints` of one draw; `step` is the trained share in percent."""
    return pd.DataFrame(
        {
            "model": model,
            "revision": [name(share) for share in shares],
            "step": [100 * share for share in shares],
            "tokens": float("nan"),
            "dtype": None,
            "location": [str((folder / name(share)).resolve()) for share in shares],
            "note": NOTE,
        }
    ).astype({"dtype": object})


def name(share: float) -> str:
    """Return the name of a pseudo-checkpoint."""
    return f"{100 * share:g}-percent"


def _record(folder: Path) -> dict | None:
    """Return what a pseudo-checkpoint was made of; None where there is none."""
    path = folder / RECORD
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
