"""Harness tasks, built once, with the prompts of the full suite whatever is asked.

The harness draws few-shot examples in visiting order, so a subset that is built by itself
gets other prompts than the same documents within the full task. Here every task is built
whole, and documents are picked from it.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from itemwise.errors import Unreachable, UserError, listed, no_connection, suggestion
from itemwise.harness.names import (
    benchmark_of,
    hash_document,
    hash_text,
    item_of,
    name_items,
    number_repeated,
)

CONSENT = "HF_ALLOW_CODE_EVAL"
"""Environment variable that allows what a model writes to be run; the metric of the harness's own
tasks of that kind asks for it too."""
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True)
class Prompting:
    """How prompts are made from documents.

    Attributes
    ----------
    num_fewshot : int, optional
        Default: each task's own.
    fewshot_seed : int
        The harness's default is 1234.
    chat_template : bool
        Whether the model's chat template wraps the prompt.
    system_instruction : str, optional
    """

    num_fewshot: int | None = None
    fewshot_seed: int = 1234
    chat_template: bool = False
    system_instruction: str | None = None


@dataclass(frozen=True)
class Document:
    """One document of a task, as it is asked.

    Attributes
    ----------
    asked_hash : str
        Hash of all that decides what is asked and how the answer counts: every request's
        arguments, the target, the task's settings and version.
    requests : tuple
        The harness's requests: one a choice, or one to generate from.
    """

    benchmark: str
    task: str
    item: str
    doc_id: int
    doc_hash: str
    prompt_hash: str
    asked_hash: str
    doc: dict
    requests: tuple

    @property
    def key(self) -> str:
        """Identify the question: the same document, asked and judged in the same way."""
        return f"{self.task}:{self.doc_hash}:{self.asked_hash}"

    @property
    def prompt(self) -> str:
        """Return the first request's prompt."""
        return self.requests[0].args[0]


class Suite:
    """Tasks of the harness and their documents.

    Parameters
    ----------
    names : sequence of str
        Tasks or groups of the harness.
    prompting : Prompting
    lm : harness model, optional
        Needed where a chat template is applied.
    include_path : path, optional
        Folder with further task files.
    benchmarks : dict, optional
        Benchmark of each task or group; default: metabench's, else the name asked for.
    source : str, optional
        What named the tasks, where it was not the user: a bank.
    built : mapping, optional
        Tasks that are not the harness's, by name: those of a bank's own prompts.

    Raises
    ------
    UserError
        Unknown task, or a data set that cannot be loaded.
    """

    def __init__(
        self,
        names: Sequence[str],
        prompting: Prompting | None = None,
        lm=None,
        include_path: str | Path | None = None,
        benchmarks: dict[str, str] | None = None,
        source: str | None = None,
        built: Mapping[str, object] | None = None,
    ):
        self.prompting = prompting or Prompting()
        loaded = {name: (task, name) for name, task in (built or {}).items()}
        loaded = loaded or _load(names, include_path, source)
        self.tasks = {task: loaded[task][0] for task in loaded}
        self.documents: list[Document] = []
        for task, (built, asked) in loaded.items():
            benchmark = benchmark_of(task)
            benchmark = asked if benchmark == task else benchmark
            known = benchmarks or {}
            self._build(task, built, known.get(task, known.get(asked, benchmark)), lm)

    def _build(self, name: str, task, benchmark: str, lm) -> None:
        """Make all requests of a task and collect its documents."""
        prompting = self.prompting
        shots = prompting.num_fewshot
        if task.get_config("num_fewshot") is None or (
            shots is not None and task.get_config("num_fewshot") != 0
        ):
            task.set_config(key="num_fewshot", value=shots or 0)
        task.set_fewshot_seed(seed=prompting.fewshot_seed)
        with silent():
            task.build_all_requests(
                system_instruction=prompting.system_instruction,
                apply_chat_template=prompting.chat_template,
                fewshot_as_multiturn=prompting.chat_template,
                chat_template=lm.apply_chat_template if prompting.chat_template else None,
                tokenizer_name=lm.tokenizer_name if prompting.chat_template else "",
            )
        settings = json.dumps([output_settings(task), self.version(name)], sort_keys=True)
        by_document: dict[int, list] = {}
        for request in sorted(task.instances, key=lambda request: request.doc_id):
            by_document.setdefault(request.doc_id, []).append(request)
        docs = [requests[0].doc for requests in by_document.values()]
        hashes = [hash_document(doc) for doc in docs]
        items = [item_of(benchmark, *pair) for pair in zip(docs, hashes, strict=True)]
        items = number_repeated(name_items(benchmark, items, hashes))
        for (doc_id, requests), doc, doc_hash, item in zip(
            by_document.items(), docs, hashes, items, strict=True
        ):
            requests = tuple(sorted(requests, key=lambda request: request.idx))
            asked = [settings, str(task.doc_to_target(doc)), [r.args for r in requests]]
            self.documents.append(
                Document(
                    benchmark=benchmark,
                    task=name,
                    item=item,
                    doc_id=doc_id,
                    doc_hash=doc_hash,
                    prompt_hash=hash_text(requests[0].args[0]),
                    asked_hash=hash_text(json.dumps(asked, sort_keys=True, default=str)),
                    doc=doc,
                    requests=requests,
                )
            )

    def version(self, task: str) -> str:
        """Return the version that a task states."""
        metadata = self.tasks[task].get_config("metadata") or {}
        return str(metadata.get("version", "not stated"))

    def shots(self, task: str) -> int:
        """Return how many worked examples the prompts of a task hold."""
        return int(self.tasks[task].get_config("num_fewshot") or 0)

    def pick(self, items: Iterable[str], source: str) -> list[Document]:
        """Return the documents of the named items.

        Raises
        ------
        UserError
            No items, or items that no task holds.
        """
        items = list(dict.fromkeys(items))
        if not items:
            raise UserError(f"{source}: names no item; an empty list would mean the whole task")
        by_item: dict[str, Document] = {}
        for document in self.documents:
            by_item.setdefault(document.item, document)
        absent = [item for item in items if item not in by_item]
        if absent:
            raise UserError(
                f"{source}: {len(absent)} of {len(items)} items are in none of the tasks "
                f"{listed(self.tasks)}: {listed(absent)}; their items are named like "
                f"{listed(by_item, 2)}"
            )
        return [by_item[item] for item in items]

    def check_consent(self, names: Iterable[str]) -> None:
        """Refuse tasks that run what a model writes, unless that is allowed.

        Raises
        ------
        UserError
            Naming the task, before the model is asked.
        """
        unsafe = [name for name in names if getattr(self.tasks[name], "UNSAFE_CODE", False)]
        if unsafe and os.environ.get(CONSENT) != "1":
            raise UserError(
                f"task '{unsafe[0]}': runs code that the model writes; evaluate it in a sandbox "
                f"without anything to lose, and allow it there by {CONSENT}=1"
            )

    def answers(self, documents: Sequence[Document], responses: Sequence[list]) -> list[dict]:
        """Turn the model's responses into metric values.

        Parameters
        ----------
        documents : sequence of Document
        responses : sequence of list
            For every document, for every request, the list of its repeats' responses.

        Returns
        -------
        list of dict
            For every document: filter to metric to value.
        """
        values: list[dict] = [{} for _ in documents]
        places: dict[str, list[int]] = {}
        for place, document in enumerate(documents):
            places.setdefault(document.task, []).append(place)
        for name, mine in places.items():
            task = self.tasks[name]
            batch = []
            for place in mine:
                for request, given in zip(documents[place].requests, responses[place], strict=True):
                    request.resps, request.filtered_resps = list(given), {}
                    batch.append(request)
            task._instances = batch
            task.apply_filters()
            for place in mine:
                document = documents[place]
                for filter_name in document.requests[0].filtered_resps:
                    filtered = [r.filtered_resps[filter_name] for r in document.requests]
                    metrics = task.process_results(document.doc, filtered)
                    values[place][filter_name] = numbers(metrics)
                for request in document.requests:
                    request.resps, request.filtered_resps = [], {}
        return values


def numbers(metrics: dict) -> dict[str, float]:
    """Keep the metrics that are one number a document."""
    found = {}
    for name, value in metrics.items():
        with contextlib.suppress(TypeError, ValueError):
            found[name] = float(value)
    return found


def find_tasks(
    names: Sequence[str], include_path: str | Path | None = None, source: str | None = None
):
    """Return the harness's index of tasks, once it is sure that it holds the named ones.

    Raises
    ------
    UserError
        No name, no such folder, a task that the harness does not know.
    """
    if not names:
        raise UserError("no task is named; give --tasks, or a bank with --bank")
    if include_path is not None and not Path(include_path).is_dir():
        raise UserError(f"{include_path}: no such folder; give the folder with the task files")
    manager = _manager(None if include_path is None else str(include_path), names)
    unknown = [name for name in names if name not in manager.all_tasks]
    if unknown and source:  # a name that is alike would be another benchmark
        raise UserError(
            f"{source}: its items are of the tasks {listed(unknown)}, which are unknown to the "
            "harness; give the folder of their task files by --include-path"
        )
    if unknown:
        hint = suggestion(unknown[0], manager.all_tasks)
        raise UserError(
            f"task '{unknown[0]}' is unknown to the harness; {hint}`lm-eval ls tasks` lists all, "
            "--include-path adds a folder of your own"
        )
    return manager


def _load(names: Sequence[str], include_path: str | Path | None, source: str | None = None) -> dict:
    """Load tasks by name; return task to (built task, name that was asked for)."""
    manager = find_tasks(names, include_path, source)
    found: dict = {}
    for name in names:
        try:
            with silent():
                built = _leaves(manager, name)
        except (OSError, ConnectionError, ValueError, RuntimeError) as error:
            kind = Unreachable if no_connection(error) else UserError
            raise kind(
                f"task '{name}': its data set cannot be loaded ({_first_line(error)}); check the "
                "network or the cache, or give a task with local files by --include-path"
            ) from error
        for leaf, task in built.items():
            found.setdefault(leaf, (task, name))
    return found


def _manager(include_path: str | None, names: Sequence[str]):
    """Return the harness's index of tasks.

    Where a folder holds all that is asked for, its tasks alone are indexed.
    """
    if include_path is not None:
        manager = _index(include_path, False)
        if set(names) <= set(manager.all_tasks):
            return manager
    return _index(include_path, True)


@cache
def _index(include_path: str | None, include_defaults: bool):
    """Index tasks; the harness's own take seconds."""
    from lm_eval.tasks import TaskManager

    with silent():
        return TaskManager(include_path=include_path, include_defaults=include_defaults)


def _leaves(manager, name: str) -> dict:
    """Return the tasks of a name, groups resolved, in any harness since 0.4.10."""
    if hasattr(manager, "load"):
        return dict(manager.load([name])["tasks"])
    from lm_eval.tasks import get_task_dict

    found: dict = {}

    def walk(tree: dict) -> None:
        for key, value in tree.items():
            if isinstance(value, dict):
                walk(value)
            else:
                found[str(key)] = value

    walk(get_task_dict([name], manager))
    return found


def output_settings(task) -> dict:
    """Return what of a task's configuration decides prompts and metrics, as plain data."""
    config = task.dump_config()
    kept = ("output_type", "num_fewshot", "generation_kwargs", "filter_list", "metric_list",
            "target_delimiter", "repeats", "process_results")  # fmt: skip
    text = json.dumps({k: config.get(k) for k in kept if k in config}, default=str)
    return json.loads(ADDRESS.sub("", text))  # of functions: another one in every process


def _first_line(error: Exception) -> str:
    """Return the first line of an error's message, not too long."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


@contextlib.contextmanager
def silent():
    """Keep the harness's progress bars and chatter off the terminal."""
    level = logging.getLogger("lm_eval").level
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.getLogger("lm_eval").setLevel(level)
