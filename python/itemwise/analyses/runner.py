"""All analyses of one checkpoint: weights loaded once, results kept one by one."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from itemwise.analyses.model import Loaded, Measured, load
from itemwise.analyses.settings import module_of, ready
from itemwise.analyses.store import Store, gap
from itemwise.errors import Unreachable, UserError
from itemwise.harness.model import LanguageModel, fingerprint
from itemwise.tables.contract import write_table
from itemwise.tables.files import write_record


@dataclass
class Profile:
    """What is known of a checkpoint.

    Attributes
    ----------
    measures : dict
        Name of the row of the suite to its table `measures`; a gap where it failed.
    failures : dict
        Name to what went wrong.
    record : dict
        Provenance, seconds, notes.
    """

    measures: dict[str, pd.DataFrame] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    record: dict = field(default_factory=dict)


def profile(
    description: LanguageModel,
    checkpoint: dict,
    suite: pd.DataFrame,
    settings: dict[str, object],
    folder: str | Path,
    progress: Callable[[str], None] = lambda name: None,
) -> Profile:
    """Measure a checkpoint by every row of a suite.

    An analysis that fails leaves the others. Nothing is loaded when the store holds all.

    Parameters
    ----------
    description : LanguageModel
    checkpoint : dict
        `model`, `revision`, `step`, `tokens`, as in the tables.
    suite : data frame
        Rows of the suite.
    settings : dict
        Settings by name of the row.
    folder : path
        The store.
    progress : callable
        Told the name of each row when it is done.
    """
    made = Profile()
    analyses, loaded, unreachable = {}, None, False
    try:
        store = Store(folder, checkpoint, weights_of(description), _loading(description))
    except UserError as error:
        store, broken = None, str(error)
    else:
        broken = None
    for row in suite.itertuples():
        name, start = row.name, time.perf_counter()
        analyses[name] = {"version": int(row.version), "settings": asdict(settings[name])}
        try:
            path = store.path(row, settings[name]) if store else None
            found = store.find(path) if store else None
            if found:
                made.measures[name] = found[0]
                analyses[name] |= found[1] | {"from_store": True} | _units(path)
                progress(name)
                continue
            if broken is None and loaded is None:
                ready(row.analysis, settings[name])
                try:
                    loaded = load(description, checkpoint["step"], checkpoint["tokens"])
                except UserError as error:
                    broken = str(error)
                start = time.perf_counter()
            if broken is not None:
                raise UserError(broken)
            measured = measure(row, settings[name], loaded, store.root)
            kept = {"seconds": time.perf_counter() - start, "notes": measured.notes}
            made.measures[name] = store.add(path, name, measured, kept)
            analyses[name] |= kept | _units(path)
        except Exception as error:  # one analysis must not take the others along
            made.failures[name] = str(error)
            unreachable |= isinstance(error, Unreachable)
            if not isinstance(error, UserError):
                made.failures[name] = f"{type(error).__name__}: {error}"
                traceback.print_exc(file=sys.stderr)
            made.measures[name] = gap(checkpoint, row)
        progress(name)
    made.record = {
        **checkpoint,
        "weights": store.weights if store else None,
        **_loading(description),
        "batch_size": loaded.batch_size if loaded else description.batch_size,
        "device": str(loaded.lm.device) if loaded else None,
        "versions": {name: version(name) for name in ("lm_eval", "transformers", "torch")},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "failures": made.failures,
        "hub_unreachable": unreachable,
        "analyses": analyses,
    }
    return made


def _units(measures: Path) -> dict[str, str]:
    """Return where the values of single units are kept, if any are."""
    file = measures.with_suffix(".units.parquet")
    return {"units": str(file)} if file.exists() else {}


def measure(row, settings, model: Loaded, folder: Path) -> Measured:
    """Run one row of the suite."""
    module = module_of(row.analysis)
    return module.measure(model, module.load(row, settings, model, folder), settings)


def weights_of(description: LanguageModel) -> str:
    """Return the hash of a model's weights without loading them.

    Raises
    ------
    UserError
        The model or its revision does not exist.
    """
    description.check_folder()
    if Path(description.name).is_dir():
        return fingerprint(description, None)
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            description.name, revision=description.revision,
            trust_remote_code=description.trust_remote_code,
        )  # fmt: skip
    except Exception as error:  # offline, gated, no such revision: whatever the library raises
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise UserError(
            f"{description.subject}: cannot be found ({type(error).__name__}: {text}); check the "
            "model, the revision and the network"
        ) from error
    return getattr(config, "_commit_hash", None) or "not stated"


def _loading(description: LanguageModel) -> dict:
    """Return what of the loading may change results."""
    return {"backend": description.backend, "dtype": description.dtype,
            "arguments": description.arguments}  # fmt: skip


def write_profile(made: Profile, folder: str | Path) -> None:
    """Write one table an analysis, and the record with what failed."""
    folder = Path(folder)
    for name, table in made.measures.items():
        write_table(table, folder / f"{name}.parquet", "measures")
    write_record(made.record, folder / "record.json")
