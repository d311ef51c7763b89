"""The models to collect, and what is known of them.

A list comes from a file, from the leaderboard's table of contents, from its repository of
results, or from the names of an organization's data sets.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from itemwise.collect.errors import CollectError
from itemwise.collect.hub import Address, Hub
from itemwise.collect.remote import RemoteFile
from itemwise.errors import UserError, listed
from itemwise.tables.given import open_given

ORGANIZATIONS = {"v1": "open-llm-leaderboard-old", "v2": "open-llm-leaderboard"}

COLUMNS = {
    "subject": ("subject", "fullname", "model_name_for_query", "model", "name", "Model"),
    "revision": ("revision", "sha", "Model sha", "model_sha"),
    "precision": ("precision", "Precision", "dtype"),
    "parameters": ("parameters", "params", "#Params (B)"),
    "date": ("date", "Upload To Hub Date", "submission date", "Submission Date"),
    "base_model": ("base_model", "Base Model"),
    "family": ("family", "Architecture", "architecture"),
    "flagged": ("flagged", "Flagged"),
    "merged": ("merged", "Merged"),
    "moe": ("moe", "MoE"),
    "repository": ("repository",),
}
"""What is taken from a list of models, and the names that columns have there."""
BILLIONS = ("#Params (B)", "params")
KNOWN = ("parameters", "date", "base_model", "family", "flagged", "merged", "moe")
"""Facts that are passed on to the subjects table."""
UNKNOWN_COMMITS = ("", "main", "nan", "None")


@dataclass(frozen=True)
class Model:
    """A model to collect.

    Attributes
    ----------
    subject : str
        Name in all tables, unique.
    repository : str
        Data set that holds its details.
    revision, precision : str, optional
        The evaluated commit and number format, where the list states them.
    folder : str, optional
        Where a repository holds several models: the folder of this one.
    facts : dict
        What else the list says.
    """

    subject: str
    repository: str
    revision: str | None = None
    precision: str | None = None
    folder: str | None = None
    facts: dict = field(default_factory=dict)


def repository_of(source: str, organization: str, subject: str) -> str:
    """Return the data set that holds a model's details."""
    name = subject.replace("/", "__")
    return f"{organization}/details_{name}" if source == "v1" else f"{organization}/{name}-details"


def subject_of(source: str, repository: str) -> str | None:
    """Return the model of a details repository, None where it is none."""
    name = repository.rpartition("/")[2]
    found = re.fullmatch(r"details_(.+)" if source == "v1" else r"(.+)-details", name)
    return found[1].replace("__", "/", 1) if found else None


def list_models(hub: Hub, source: str, origin: str, organization: str) -> list[Model]:
    """Return the models of a list, sorted by subject.

    Parameters
    ----------
    hub : Hub
    source : {"v1", "v2"}
    origin : str
        "contents", "results", "organization", or a parquet or CSV file.
    organization : str
        Who publishes the leaderboard on the hub.

    Raises
    ------
    UserError
        The list cannot be read, or holds nobody.
    """
    if origin == "organization":
        try:
            repositories = hub.organization(organization)
        except CollectError as error:
            raise _unreadable(hub, organization, error) from error
        names = [subject_of(source, repository) for repository in repositories]
        table = pd.DataFrame({"subject": [name for name in names if name]}, dtype="str")
    elif origin == "results":
        table = pd.DataFrame({"subject": _in_results(hub, f"{organization}/results")}, dtype="str")
    elif origin == "contents":
        table = _contents(hub, f"{organization}/contents")
    else:
        table = _read_file(Path(origin))
    models = models_of(table, source, organization, origin)
    if not models:
        raise UserError(f"--models {origin}: names no model of {organization}; choose another list")
    return models


def models_of(table: pd.DataFrame, source: str, organization: str, origin: str) -> list[Model]:
    """Return the models of a table; rows of one name are told apart by commit and precision.

    Raises
    ------
    UserError
        No column names the models, or two rows are the same model.
    """
    columns = {key: next((n for n in names if n in table), None) for key, names in COLUMNS.items()}
    if columns["subject"] is None:
        raise UserError(
            f"--models {origin}: has no column with the models' names (it has "
            f"{listed(table.columns)}); name it 'subject'"
        )
    rows = [
        {key: _plain(row[name]) for key, name in columns.items() if name is not None}
        for row in table.to_dict("records")
    ]
    rows = [row for row in rows if row["subject"] is not None]
    counts = Counter(str(row["subject"]) for row in rows)
    models = {}
    for row in rows:
        name = str(row["subject"])
        revision, precision = (_stated(row.get(key)) for key in ("revision", "precision"))
        subject = name
        if counts[name] > 1:
            subject = f"{name}@{(revision or 'main')[:12]}-{precision or 'unknown'}"
        if subject in models and models[subject].revision != revision:
            raise UserError(f"--models {origin}: two rows are called '{subject}'; keep one")
        facts = {key: row[key] for key in KNOWN if row.get(key) is not None}
        if columns["parameters"] in BILLIONS and "parameters" in facts:
            facts["parameters"] = 1e9 * float(facts["parameters"])
        repository = row.get("repository") or repository_of(source, organization, name)
        models[subject] = Model(subject, str(repository), revision, precision, None, facts)
    return [models[subject] for subject in sorted(models)]


def in_folders(hub: Hub, repository: str, folders: list[str]) -> list[Model]:
    """Return the models of a repository of sample logs, one a folder."""
    owner = repository.rpartition("/")[2].removesuffix("-details")
    models = []
    for folder in folders:
        name = folder.rpartition("/")[2] or owner
        models.append(Model(name.replace("__", "/", 1), repository, folder=folder))
    twice = [name for name, n in Counter(m.subject for m in models).items() if n > 1]
    return [replace(m, subject=m.folder) if m.subject in twice else m for m in models]


def _in_results(hub: Hub, repository: str) -> list[str]:
    """Return the models that a repository of results names by its folders."""
    try:
        paths = hub.listing(repository).files
    except CollectError as error:
        raise _unreadable(hub, repository, error) from error
    names = {path.rpartition("/")[0] for path in paths if re.search(r"results_[^/]*\.json$", path)}
    return sorted(names - {""})


def _contents(hub: Hub, repository: str) -> pd.DataFrame:
    """Return a leaderboard's table of contents."""
    try:
        listing = hub.listing(repository)
        files = [f for path, f in sorted(listing.files.items()) if path.endswith(".parquet")]
        tables = [
            pq.ParquetFile(RemoteFile(hub, Address(repository, listing.revision, file))).read()
            for file in files
        ]
    except CollectError as error:
        raise _unreadable(hub, repository, error) from error
    if not tables:
        raise UserError(f"{repository}: holds no parquet file; give a file with --models")
    return pd.concat([table.to_pandas() for table in tables], ignore_index=True)


def _unreadable(hub: Hub, repository: str, error: CollectError) -> UserError:
    """Return what to do about a list that the hub does not give."""
    remedies = {
        "gated": "accept its conditions on the hub and set HF_TOKEN",
        "missing": "check --organization and HF_ENDPOINT, or give a file with --models",
    }
    remedy = remedies.get(error.state, "try again later")
    return UserError(f"{hub.endpoint}: {repository}: {error.reason}; {remedy}")


def _read_file(path: Path) -> pd.DataFrame:
    """Return a list of models from a file."""
    if not path.exists():
        raise UserError(
            f"--models {path}: no such file; give a .csv or .parquet file, or one of contents, "
            "results, organization"
        )
    return open_given(path, "subjects")


def _plain(value):
    """Return a cell, None where it is empty."""
    if value is None or (isinstance(value, float) and value != value) or value is pd.NaT:
        return None
    return value.item() if hasattr(value, "item") else value


def _stated(value) -> str | None:
    """Return a commit or precision, None where it says nothing."""
    return None if value is None or str(value) in UNKNOWN_COMMITS else str(value)
