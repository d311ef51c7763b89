"""The doctor: what is there, what is missing, and what to do about it."""

import json
import subprocess
import sys

import pytest

from itemwise.paths import ROOT
from itemwise.stages.doctor import USES, summary
from itemwise.workflow import doctor
from itemwise.workflow.doctor import (
    Finding,
    examine,
    is_ready,
    pinned_versions,
    python_packages,
)


@pytest.fixture
def clone(tmp_path):
    """Return a function that writes a project with these constraints."""

    def write(constraints: str):
        (tmp_path / "pyproject.toml").write_text(
            '[project]\nname = "p"\ndependencies = [\n  "numpy", # arrays\n  "absent-a>=2",\n]\n'
            '[project.optional-dependencies]\neval = ["absent-b[hf]"]\n'
        )
        (tmp_path / "constraints.txt").write_text(constraints)
        return {finding.name: finding for finding in python_packages(tmp_path)}

    return write


def test_missing_other_and_right_versions_are_told_apart(clone):
    numpy = pinned_versions(ROOT / "constraints.txt")["numpy"]
    found = clone(f"# tested\nnumpy=={numpy}\n")
    assert (found["numpy"].state, found["numpy"].purpose) == ("ok", "arrays")
    assert found["absent-a"].state == "missing"
    assert found["absent-a"].remedy == ".venv/bin/pip install -c constraints.txt -e '.'"
    assert found["absent-b"].state == "absent"
    assert found["absent-b"].remedy.endswith("-e '.[eval]'")
    assert clone("NumPy==0.0.1\n")["numpy"].found == f"{numpy}, tested with 0.0.1"
    assert clone("NumPy==0.0.1\n")["numpy"].state == "other"


def test_names_are_compared_as_pip_does(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("rpy2_robjects==3.6.5\nJinja2==3.1.6 # why\n# x==1\n")
    assert pinned_versions(path) == {"rpy2-robjects": "3.6.5", "jinja2": "3.1.6"}


def test_the_verdict_of_each_use_names_what_it_lacks():
    ready = [Finding("", name, "ok") for names in USES.values() for name in names]
    without = [finding for finding in ready if finding.name != "torch"]
    lines = summary([*without, Finding("", "torch", "absent")]).splitlines()
    assert "The demo, and evaluating models: lacks torch" in lines
    assert "Distil a benchmark: ready" in lines


def test_every_package_that_is_listed_has_a_purpose():
    bare = [f.name for f in doctor.python_packages() if not f.purpose]
    assert bare == ["python"]


def test_every_extra_has_a_purpose():
    groups = [finding.group for finding in python_packages()]
    assert not [group for group in groups if "see pyproject.toml" in group]
    assert {extra for extra in doctor.EXTRAS if any(f", {extra}:" in g for g in groups)} == (
        set(doctor.EXTRAS)
    )


def test_without_r_the_workflow_cannot_run(monkeypatch, itemwise):
    monkeypatch.setattr(doctor, "_output", lambda *_, **__: None)
    findings = examine()
    assert not is_ready(findings)
    finished = itemwise("doctor")
    assert finished.status == 1
    assert "The workflow lacks: Rscript." in finished.out
    assert "Distil a benchmark: lacks R, mgcv, optparse, jsonlite, yaml" in finished.out
    assert "get it: envs/setup-r.sh" in finished.out


def test_without_mgcv_but_with_a_gpu(monkeypatch):
    printed = {
        "Rscript": "4.4.3 \nmgcv \noptparse 1.7.5 \njsonlite 1.8.9 \nmirt 1.45.1 \n",
        "nvidia-smi": "NVIDIA H100, 81559 MiB, 80000 MiB\nNVIDIA H100, 81559 MiB, 10 MiB\n",
    }
    monkeypatch.setattr(doctor, "_output", lambda command, **_: printed.get(command[0]))
    found = {finding.name: finding for finding in examine()}
    assert found["R"].found == "4.4.3"
    assert found["mgcv"].state == "missing"
    assert found["mgcv"].remedy == "apt-get install r-cran-mgcv"
    assert (found["mirt"].state, found["mirt"].found) == ("ok", "1.45.1")
    assert found["catR"].state == "absent"
    assert "install.packages" in found["catR"].remedy
    assert found["GPU 1"].found == "NVIDIA H100, 81559 MiB, 10 MiB free"


def test_optional_things_are_no_failure():
    assert is_ready(
        [Finding("g", "a", "ok"), Finding("g", "b", "absent"), Finding("g", "c", "other")]
    )


def test_json_says_the_same_and_nothing_heavy_is_loaded():
    code = (
        "import sys; from itemwise.cli.main import main; status = main(['doctor', '--json']);"
        "assert not {'torch', 'pandas', 'transformers'} & set(sys.modules); sys.exit(status)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    told = json.loads(finished.stdout)
    assert finished.returncode == (0 if told["ready"] else 1), finished.stderr
    states = {finding["name"]: finding["state"] for finding in told["findings"]}
    assert states["numpy"] != "missing"
    assert {"R", "Rscript"} & set(states)
