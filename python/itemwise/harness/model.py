"""Language models, loaded through the harness, and what identifies them."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from itemwise.errors import UserError
from itemwise.harness.names import hash_text
from itemwise.harness.suite import Suite

IDENTITY = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf", "*.json", "*.jinja", "*.txt",
            "*.model", "*.py", "*/*.jinja")  # fmt: skip
"""Files of a local model folder that its answers may depend on: weights, settings, vocabulary,
templates, code."""
TRAINING = ("optimizer*", "scheduler*", "rng_state*", "scaler*", "trainer_state*",
            "training_args*")  # fmt: skip
"""Files of these kinds that only say how training went on."""
REFUSED = ("use_cache", "cache_requests", "batch_size", "device", "pretrained", "revision", "dtype")
"""Model arguments that are options of their own, or caches that answer for other models."""


@dataclass(frozen=True)
class LanguageModel:
    """Which model to load, and how.

    Attributes
    ----------
    name : str
        Local folder or hub id.
    revision : str, optional
    backend : str
        Name of the harness's model class: `hf`, `vllm`, `local-completions`, ...
    dtype : str
    device : str, optional
        Default: the GPU where there is one.
    batch_size : int
        Never automatic: batches change answers.
    arguments : dict
        Further arguments of the backend.
    trust_remote_code : bool
    recompute_prefixes : bool
        Whether every request is computed anew, as by the bare harness.
    """

    name: str
    revision: str | None = None
    backend: str = "hf"
    dtype: str = "auto"
    device: str | None = None
    batch_size: int = 8
    arguments: dict = field(default_factory=dict)
    trust_remote_code: bool = False
    recompute_prefixes: bool = False

    @property
    def title(self) -> str:
        """Return the model's name in tables: the hub's, or the end of a folder's path."""
        folder = Path(self.name)
        return "/".join(folder.resolve().parts[-2:]) if folder.is_dir() else self.name

    @property
    def subject(self) -> str:
        """Return the model's name with its revision."""
        return self.title if self.revision is None else f"{self.title}@{self.revision}"

    def check_folder(self) -> None:
        """Refuse a name that can only be a folder, where there is none.

        Raises
        ------
        UserError
            Rather than that the hub knows no model of this name.
        """
        path, served = Path(self.name), self.backend.startswith("local-")
        local = path.is_absolute() or self.name.startswith((".", "~")) or len(path.parts) > 2
        local = local or (len(path.parts) == 2 and path.parent.is_dir())
        if local and not served and not path.exists():
            raise UserError(f"--lm {self.name}: no such folder; check the path")

    def load(self):
        """Load the model through the harness.

        Raises
        ------
        UserError
            The harness is not installed, the backend is unknown, the model does not load.
        """
        self.check_folder()
        for name in REFUSED:
            if name in self.arguments:
                raise UserError(f"--lm-args {name}: is not passed on; it has an option of its own")
        try:
            from lm_eval.api.registry import get_model
        except ImportError as error:
            raise UserError(
                f"the evaluation harness cannot be imported ({error}); install it with "
                "pip install -c constraints.txt -e '.[eval]'"
            ) from error
        try:
            made = get_model(self.backend)
        except (KeyError, ValueError) as error:
            raise UserError(
                f"backend '{self.backend}' is unknown to the harness; use hf, vllm, or "
                "local-completions for an OpenAI-compatible server"
            ) from error
        arguments = {"pretrained": self.name, "dtype": self.dtype, **self.arguments}
        if not self.recompute_prefixes:
            made, arguments = _with_shared_prefixes(made, self.backend, arguments)
        if self.backend.startswith("local-") or self.backend == "dummy":
            arguments = {"model": self.name, **self.arguments}
        elif self.revision is not None:
            arguments["revision"] = self.revision
        if self.trust_remote_code:
            arguments["trust_remote_code"] = True
        try:
            device = self.device or _default_device()
            return made.create_from_arg_obj(
                arguments, {"batch_size": self.batch_size, "device": device}
            )
        except Exception as error:  # whatever a backend raises, the model did not load
            text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            at = f" at revision '{self.revision}'" if self.revision else ""
            raise UserError(
                f"--lm {self.name}{at}: does not load ({type(error).__name__}: {text}); check the "
                "path or hub id, --revision, --dtype and --device"
            ) from error


def _with_shared_prefixes(made: type, backend: str, arguments: dict) -> tuple[type, dict]:
    """Return class and arguments of a model that computes common beginnings of prompts once."""
    if backend == "vllm":
        return made, {"enable_prefix_caching": True, **arguments}
    if backend not in ("hf", "huggingface", "hf-auto"):
        return made, arguments
    from itemwise.harness.prefix import SharedPrefixes

    return SharedPrefixes, arguments


def load_libraries(model: LanguageModel) -> None:
    """Import what a model needs, for forked processes that load it or its like.

    Nothing is computed and no GPU is touched. Where something is missing, loading the model
    says so.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if model.backend not in ("hf", "huggingface"):  # others may start more than a library
        return
    with contextlib.suppress(Exception):
        import torch
        import transformers

        torch.set_num_threads(1)  # threads do not survive a fork; workers share the cores
        transformers.utils.logging.disable_progress_bar()  # one for every model, into the log
        if Path(model.name).is_dir():
            config = transformers.AutoConfig.from_pretrained(model.name)
            with torch.device("meta"):  # no weights
                transformers.AutoModelForCausalLM.from_config(config)


def fingerprint(model: LanguageModel, lm) -> str:
    """Return what identifies the model: a hash of local files, or the hub's commit.

    Of its own folder, and of those that its arguments name: an adapter, another tokenizer.
    """
    named = [Path(value) for value in model.arguments.values() if isinstance(value, str)]
    folders = [folder for folder in named if folder.is_dir()]
    if Path(model.name).is_dir():
        return _hash_folders([Path(model.name), *folders])
    config = getattr(getattr(lm, "model", None), "config", None)
    commit = getattr(config, "_commit_hash", None) or "not stated"
    return f"{commit}.{_hash_folders(folders)}" if folders else commit


def _hash_folders(folders: list[Path]) -> str:
    """Return the hash of what identifies models in folders."""
    made = hashlib.sha256()
    for folder in folders:
        files = {file for pattern in IDENTITY for file in folder.glob(pattern)}
        files -= {file for pattern in TRAINING for file in folder.glob(pattern)}
        for file in sorted(files):
            made.update(str(file.relative_to(folder)).encode())
            with file.open("rb") as content:
                made.update(hashlib.file_digest(content, "sha256").digest())
    return made.hexdigest()


def provenance(model: LanguageModel, lm, suite: Suite) -> dict:
    """Return all that the answers may depend on, as plain data."""
    device = str(getattr(lm, "device", model.device or "not stated"))
    network = getattr(lm, "model", None)
    return {
        "subject": model.subject,
        **{k: v for k, v in asdict(model).items() if k not in ("device", "dtype")},
        "name": model.title,
        "location": model.name,
        "model_hash": fingerprint(model, lm),
        "dtype": str(getattr(network, "dtype", model.dtype)).removeprefix("torch."),
        "device": device.split(":")[0],
        "device_name": _device_name(device),
        "prompting": asdict(suite.prompting),
        "task_versions": {name: suite.version(name) for name in suite.tasks},
        "num_fewshot": {name: suite.shots(name) for name in suite.tasks},
        "harness": package_version("lm_eval"),
        "transformers": package_version("transformers"),
        "torch": package_version("torch"),
    }


def check_context(lm, suite: Suite) -> None:
    """Refuse generation that is longer than the model's context.

    Raises
    ------
    UserError
        Naming the task.
    """
    longest = getattr(lm, "max_length", None)
    for name, task in suite.tasks.items():
        if longest is None or task.get_config("output_type") != "generate_until":
            continue
        settings = task.get_config("generation_kwargs") or {}
        wanted = settings.get("max_gen_toks", getattr(lm, "max_gen_toks", 256))
        if wanted >= longest:
            raise UserError(
                f"task '{name}': generates up to {wanted} tokens, the model's context holds "
                f"{longest}; set generation_kwargs.max_gen_toks in the task, or give a model "
                "with a longer context"
            )


def ask(lm, requests: list, on_smaller_batch: Callable[[int], None]) -> list[list]:
    """Send requests to the model; halve the batch when memory does not suffice.

    Parameters
    ----------
    lm : harness model
    requests : list
        Requests of the harness.
    on_smaller_batch : callable
        Told the new batch size.

    Returns
    -------
    list of list
        The responses of every request's repeats, in order.
    """
    responses: list[list] = [[] for _ in requests]
    kinds: dict[str, list[int]] = {}
    for place, request in enumerate(requests):
        kinds.setdefault(request.request_type, []).extend([place] * request.repeats)
    for kind, places in kinds.items():
        while True:
            try:
                answers = _send(lm, kind, [requests[place] for place in places])
                break
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                size = int(getattr(lm, "batch_size_per_gpu", 1))
                if size <= 1:
                    raise UserError(
                        "memory does not suffice for a batch of one; choose a smaller --dtype, "
                        "a shorter context (--lm-args max_length=...) or a larger device"
                    ) from error
                lm.batch_size_per_gpu = size // 2
                on_smaller_batch(size // 2)
                _free_memory()
        for place, answer in zip(places, answers, strict=True):
            responses[place].append(answer)
    return responses


def seed_draws(text: str) -> None:
    """Seed all that a backend draws from.

    By the question that is asked, so that sampled answers depend neither on what was asked
    before nor on where a killed run stopped.
    """
    seed = int(hash_text(text)[:8], 16)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - backends draw from the global generators
    with contextlib.suppress(ImportError):
        import torch

        torch.manual_seed(seed)


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether memory did not suffice; the CPU's allocator says so in words of its own."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text


def _default_device() -> str:
    """Return the GPU where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _send(lm, kind: str, requests: list) -> list:
    """Send requests of one kind, without the harness's own progress bars where it allows."""
    method = getattr(lm, kind)
    if "disable_tqdm" in inspect.signature(method).parameters:
        return method(requests, disable_tqdm=True)
    return method(requests)


def _free_memory() -> None:
    """Give memory of the failed batch back to the device."""
    with contextlib.suppress(ImportError):
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _device_name(device: str) -> str | None:
    """Return the GPU's name."""
    if not device.startswith("cuda"):
        return None
    import torch

    return torch.cuda.get_device_name()


def package_version(package: str) -> str | None:
    """Return the version of a package, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
