"""Compare a JSON record with what the data contract says of it."""

from pathlib import Path

from itemwise.tables.files import read_record
from itemwise.tables.page import records

TYPES = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "list": list,
    "mapping": dict, "null": type(None),
}  # fmt: skip


def check_run(results: Path) -> set[str]:
    """Check every record of a run that is described, and return of which stages there were any."""
    found = set()
    for path in sorted(results.glob("*/*.json")):
        stage = path.parent.name
        if stage in records():
            check_record(stage, read_record(path))
            found.add(stage)
    return found


def check_record(name: str, record: dict) -> None:
    """Refuse keys that are not described, are of another type, or are absent though required."""
    known = {tuple(key["key"].split(".")): key for key in records()[name]}
    met = set()
    for path, value in described(record, known):
        fits = [key for key in known if len(key) == len(path) and leads(path, key)]
        assert fits, f"{name}: key {'.'.join(path)} is not in records.csv"
        kinds = known[fits[0]]["type"].split(" or ")
        assert any(isinstance(value, TYPES[kind]) for kind in kinds), f"{name}: {path}: {value!r}"
        met.add(fits[0])
    for key, about in known.items():
        assert key in met or about["presence"] == "optional", f"{name}: no {'.'.join(key)}"


def described(value, known: dict, path: tuple = ()):
    """Yield path and value of each key, those above the keys that are described left out."""
    if path and not any(len(key) > len(path) and leads(path, key) for key in known):
        yield path, value
        return
    for name, inner in value.items():
        yield from described(inner, known, (*path, name))


def leads(path: tuple, key: tuple) -> bool:
    """Return whether a path is, or leads to, a key, whose `<...>` stand for any name."""
    pairs = zip(path, key, strict=False)
    return all(part == wanted or wanted.startswith("<") for part, wanted in pairs)
