"""The tutorials, as a newcomer follows them: their blocks marked `<!-- run -->`, in order."""

import os
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

RUN = re.compile(r"^<!-- run -->\n```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
TUTORIALS = ["own-benchmark", "score-model", "run"]


def blocks(page: Path) -> str:
    """Return the commands of a page that are to be run."""
    found = RUN.findall(page.read_text(encoding="utf-8"))
    assert found, page
    return "".join(found)


def test_tutorials_run_in_their_order(new_project, root):
    project = new_project()
    shutil.copytree(root / "docs" / "examples", project.folder / "docs" / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    project.environment["PATH"] = path
    for name in TUTORIALS:
        script = blocks(root / "docs" / f"tutorial-{name}.md")
        finished = project.run(["bash", "-eu", "-o", "pipefail", "-c", script], timeout=500)
        assert finished.returncode == 0, f"{name}: {finished.stdout[-3000:]}"
    own = project.folder / "results" / "own"
    assert (own / "report.html").stat().st_size > 10_000
    assert "What is the capital of land" in (own / "report.html").read_text(encoding="utf-8")
    made = project.folder / "tutorial"
    scores = [pd.read_parquet(made / f"scores-{step}.parquet") for step in (1000, 6000)]
    early, late = (table["predicted"].item() for table in scores)
    assert late > early + 20  # the run that was made up learns
    assert (made / "scores.html").exists()
