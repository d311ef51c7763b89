"""Which source files a stage runs: they are inputs of its rule.

Snakemake notices a changed `script:`, not what a command imports. So each rule lists
its stage's code among its inputs, found by following the imports.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from itemwise.paths import PACKAGE, ROOT, from_here

R_PACKAGE = ROOT / "R" / "itemwise"
R_READS = {
    PACKAGE / "tables" / "contract.csv",
    PACKAGE / "tables" / "limits.csv",
    PACKAGE / "tables" / "rds.py",
    PACKAGE / "tables" / "results.csv",
    PACKAGE / "irt" / "weak_prior.csv",
    ROOT / "config" / "schema.yaml",
}
"""Files other than its own that the R package reads."""
DATA_FILES = {
    PACKAGE / "tables" / "contract.py": PACKAGE / "tables" / "contract.csv",
    PACKAGE / "tables" / "limits.py": PACKAGE / "tables" / "limits.csv",
    PACKAGE / "tables" / "results.py": PACKAGE / "tables" / "results.csv",
    PACKAGE / "workflow" / "schema.py": ROOT / "config" / "schema.yaml",
    PACKAGE / "irt" / "prior.py": PACKAGE / "irt" / "weak_prior.csv",
    PACKAGE / "analyses" / "suite.py": PACKAGE / "analyses" / "suite.csv",
    PACKAGE / "report" / "page.py": PACKAGE / "report" / "page.html",
    PACKAGE / "report" / "profile.py": PACKAGE / "report" / "profile.html",
    PACKAGE / "report" / "held_out.py": PACKAGE / "report" / "held_out.html",
    PACKAGE / "stages" / "score_model.py": PACKAGE / "report" / "scores.html",
}
"""Files that source files read when they run."""


@cache
def stage_code(stage: str, language: str | None = None) -> list[str]:
    """Return the files that a stage runs, as the working folder sees them, sorted.

    Parameters
    ----------
    stage : str
        `verb_noun`, for `stages/verb_noun.py` or `R/verb_noun.R`.
    language : {"Python", "R"}, optional
        Which of the two, for a stage that exists in both; default Python.

    Raises
    ------
    FileNotFoundError
        No such stage.
    """
    module = PACKAGE / "stages" / f"{stage}.py"
    if language == "R" or not module.exists():
        script = ROOT / "R" / f"{stage}.R"
        script.stat()  # there is one
        # A stage loads the whole package (R/itemwise/load.R).
        files = {script, R_PACKAGE / "load.R", *(R_PACKAGE / "R").glob("*.R"), *R_READS}
    else:
        files = _python_modules(module, set())
    files |= {DATA_FILES[path] for path in files & DATA_FILES.keys()}
    return sorted(map(from_here, files))


def _python_modules(path: Path, seen: set[Path]) -> set[Path]:
    """Return a module of the package and all that it imports from the package."""
    if path in seen:
        return seen
    seen.add(path)
    for imported in _imports(path):
        _python_modules(imported, seen)
    return seen


@cache
def _imports(path: Path) -> list[Path]:
    """Return what a module imports from the package."""
    names = []
    for node in _statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("itemwise"):
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return [found for name in names if (found := _module_file(name))]


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements of a tree; all its nodes are ten times as many."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from _statements(child)


def _module_file(name: str) -> Path | None:
    """Return the file of a module of the package; None for other packages and attributes."""
    base = PACKAGE.parent / Path(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.exists() and PACKAGE in candidate.parents:
            return candidate
    return None
