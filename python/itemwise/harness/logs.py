"""Files of sample logs: where they lie, whose they are, of which task and run.

`samples_<task>_<time>.jsonl` is what the harness writes since 0.4.3; a few weeks before it
ended in `.json`; up to 0.4.2 it was `<arguments of the model>_<task>.jsonl`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from itemwise.errors import UserError, listed
from itemwise.harness.foreign import LOOKED_AT, foreign, foreign_file
from itemwise.harness.json_text import read_records
from itemwise.harness.results_files import (
    NAME_ARGUMENTS,
    mapping_at,
    named_by,
    results_in,
    results_of_run,
    stated_name,
    stated_revision,
    tasks_of,
)

FILE_NAME = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d.\-]+)\.jsonl?")
BY_ARGUMENTS = re.compile(rf"(?P<arguments>(?:.*,)?(?:{'|'.join(NAME_ARGUMENTS)})__.+)_.+\.jsonl")
"""Names of logs up to 0.4.2: the arguments with `__` for `/` and `=`, and the task."""
OF_ARGUMENTS = {"lm_eval_version": "0.4.0 to 0.4.2"}
"""What their results files do not say."""
SUFFIXES = (".json", ".jsonl", ".eval")


@dataclass(frozen=True)
class Log:
    """A sample log.

    Attributes
    ----------
    path : Path
    task : str
    time : str
        Time stamp of the run, empty where there is none.
    results : dict
        Results file of the same run, empty where there is none.
    stated : str, optional
        The model, with its revision, as its results file or the log's name states it.
    """

    path: Path
    task: str
    time: str = ""
    results: dict = field(default_factory=dict)
    stated: str | None = None

    @property
    def run(self) -> str:
        """Tell runs apart: by their time, else by their files."""
        return self.time or str(self.path)

    def subject(self) -> str:
        """Name the model, by what states it, else by the folder as the harness names it.

        Raises
        ------
        UserError
            Neither does.
        """
        name = self.stated or _with_revision(self.path.parent.name.replace("__", "/"), self.results)
        if name in ("", ".."):
            raise UserError(
                f"{self.path}: neither a folder nor a results_<time>.json beside it names the "
                "model; give --subject organization/model"
            )
        return name


def find_logs(paths: list[str | Path]) -> list[Log]:
    """Return the sample logs named and inside folders, in the order of their time stamps.

    Raises
    ------
    UserError
        A path does not exist, no sample log is found, or one whose task cannot be told.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += [p for p in path.rglob("*.json*") if p.is_file() and _is_log(p.name)]
        elif path.exists():
            files.append(path)
        else:
            raise UserError(f"{path}: no such file or folder; check the path")
    if not files:
        raise UserError(_nothing_in(paths))
    logs = map(_log_at, dict.fromkeys(files))
    return sorted(logs, key=lambda log: (log.time, str(log.path)))


def _is_log(name: str) -> bool:
    return bool(FILE_NAME.fullmatch(name) or BY_ARGUMENTS.fullmatch(name))


def _nothing_in(paths: list[str | Path]) -> str:
    """Say that folders hold no log, and what they hold where it is known."""
    inside = (p for folder in paths for p in sorted(Path(folder).rglob("*")))
    files = [p for p in inside if p.suffix in SUFFIXES and p.is_file()][:LOOKED_AT]
    for path in files:
        said = foreign_file(path) or foreign(next((value for _, value in read_records(path)), None))
        if said:
            return f"{path}: {said}"
    return (
        f"{listed(paths)}: no file named samples_<task>_<time>.jsonl; give the folder that "
        "lm-eval wrote with --log_samples --output_path"
    )


def _log_at(path: Path) -> Log:
    """Return what a log's name and the results beside it say."""
    found = FILE_NAME.fullmatch(path.name)
    if found is None and BY_ARGUMENTS.fullmatch(path.name):
        return _log_by_arguments(path)
    if found is None:
        task = path.stem.removeprefix("samples_").removesuffix("_eval_samples")
        return Log(path, task or path.stem)
    results = results_of_run(path.parent, found["time"])
    name = stated_name(results)
    stated = None if name is None else _with_revision(name, results)
    return Log(path, found["task"], found["time"], results, stated)


def _log_by_arguments(path: Path) -> Log:
    """Return what the name of a log up to harness 0.4.2 says, by the results beside it.

    Raises
    ------
    UserError
        No results file tells where the arguments end and the task begins.
    """
    beside = results_in(path.parent)
    for results in beside:
        arguments = mapping_at(results, "config").get("model_args")
        start = re.sub("[/=]", "__", arguments) + "_" if isinstance(arguments, str) else None
        if start and path.stem.startswith(start):
            name = stated_name(results)
            stated = None if name is None else _with_revision(name, results)
            task = path.stem.removeprefix(start)
            return Log(path, task, "", OF_ARGUMENTS | results, stated)
    # The results are of another model: a second run into the folder replaced them.
    tasks = {task for results in beside for task in tasks_of(results)}
    ending = [task for task in tasks if path.stem.endswith(f"_{task}")]
    if not ending:
        raise UserError(
            f"{path}: its name joins the arguments of the model and the task, as the harness did "
            "up to 0.4.2; no results.json beside it tells the two apart: put it there, or call the "
            "log samples_<task>_2024-01-01T00-00-00.jsonl, in a folder organization__model"
        )
    task = max(ending, key=len)
    parts = path.stem.removesuffix(f"_{task}").split(",")
    pairs = (part.partition("__")[::2] for part in parts)
    arguments = {name: value.replace("__", "/") for name, value in pairs}
    name = named_by(arguments)
    stated = name and _with_revision(name, {"config": {"model_args": arguments}})
    return Log(path, task, results=OF_ARGUMENTS, stated=stated)


def _with_revision(name: str, results: dict) -> str:
    """Return a model's name with its revision: the harness writes all of them to one folder."""
    revision = stated_revision(results)
    return name if revision in (None, "main") else f"{name}@{revision}"
