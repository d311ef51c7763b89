"""A statistician's day: look at tables, run a stage line by line, change it, run what depends."""

import re
import shutil
import subprocess

import pytest
from projects import TINY, copy_of
from test_run import RESULTS, SMOOTHED

from itemwise.paths import ROOT
from itemwise.responses.matrix import read_responses
from itemwise.tables.contract import contract, read_table
from itemwise.tables.results import file_of, results

PAGE = (ROOT / "docs/statisticians.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the page's blocks of a language, about the tiny run instead of the tutorial's."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [text.replace("results/own", RESULTS).replace("capitals", "sums") for text in found]


LOAD, START, FORMULA, ONE_FORM, COMPARE, BOTH_RUNS = blocks("r")
(SETTING,) = blocks("yaml")


@pytest.fixture(scope="module")
def session(finished_run):
    """Return a function that types lines into an interactive R and returns what it prints."""

    def type_in(*scripts: str, folder=None) -> str:
        finished = subprocess.run(
            ["R", "--vanilla", "--interactive", "--no-readline", "--quiet"],
            input="\n".join(["grDevices::pdf(NULL)", *scripts, "cat('the end')\n"]),
            cwd=folder or finished_run.folder,
            env=finished_run.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert "the end" in finished.stdout
        return finished.stdout

    return type_in


def test_tables_come_into_the_session_by_name(session):
    printed = session(LOAD, 'cat("n =", nrow(parameters), nrow(run$fit_irt$sums), "\\n")')
    assert "fit_readout: sums, sums.features, sums.linear, sums.record, sums.terms" in printed
    assert "n = 38 38" in printed
    assert "Error" not in printed


def test_every_table_of_a_run_can_be_loaded(finished_run):
    known = {file_of(*place): kind["table"] for place, kind in results().items()}
    folder = finished_run.folder / RESULTS
    found = [p.relative_to(folder) for p in folder.rglob("*.parquet") if "bank" not in p.parts]
    assert len(found) > 20
    for path in found:
        table = known[str(path).replace("sums", "{benchmark}", 1)]
        assert table in contract()
        if table == "responses":
            read_responses(folder / path)
        else:
            read_table(folder / path, table)
    names = [kind["session"] for kind in results().values() if kind["session"]]
    assert len(set(names)) == len(names)


SAME = {
    "split_subjects": "identical(made, run$split_subjects$splits)",
    "screen_items": "isTRUE(all.equal(screened, run$screen_items$sums))",
    "fit_readout": 'isTRUE(all.equal(joined("reconstructions"), run$fit_readout$sums))',
}


@pytest.mark.parametrize("stage", SAME)
def test_stage_runs_line_by_line_with_the_options_of_the_run(stage, session, finished_run):
    """The same result; run and tables stay as they are, and only the stage's names are added."""
    before = {p: p.stat().st_mtime_ns for p in (finished_run.folder / RESULTS).rglob("*")}
    script = (finished_run.folder / "R" / f"{stage}.R").read_text(encoding="utf-8")
    same = f"if ({SAME[stage]}) cat('the', 'same', 'result')"
    lock = "for (name in ls()) lockBinding(name, globalenv())\n"
    library = "if (!any(ls() %in% ls('itemwise'))) cat('nothing', 'masked')"
    printed = session(LOAD, lock, script, same, library)
    assert f"options of {RESULTS}/logs/{stage}/" in printed
    assert "\nError" not in printed
    assert "the same result" in printed
    assert "nothing masked" in printed
    after = {p: p.stat().st_mtime_ns for p in (finished_run.folder / RESULTS).rglob("*")}
    assert after == before


READOUT = f"{RESULTS}/fit_readout/sums.parquet"
REWRITTEN = {
    READOUT: {"fit_readout"},
    "all": {"fit_readout", "assess_readout", "simulate_cat", "bank"},
}


@pytest.mark.parametrize("target", [READOUT, pytest.param("all", marks=pytest.mark.slow)])
def test_changed_formula_repeats_only_what_depends_on_it(target, session, finished_run, tmp_path):
    """Try a formula in the session, write it into the configuration, run the workflow."""
    script = (finished_run.folder / "R/fit_readout.R").read_text(encoding="utf-8")
    assert START in script
    options, rest = script.split("formulas <- list(", 1)
    tried = f"{FORMULA}{ONE_FORM}formulas <- list("
    score = (
        'mine <- joined("reconstructions")\n'
        'mine <- mine[mine$form == "A" & mine$readout == "ability", ]\n'
        'cat(sprintf("rmse is %.6f", sqrt(mean((mine$predicted - mine$full_score)^2))), "\\n")\n'
        f"found <- {COMPARE}"
        'cat(sprintf("compared %.6f over %d", found$rmse_new, found$n), "\\n")\n'
    )
    printed = session(LOAD, options + tried + rest, score)

    copy = copy_of(finished_run, tmp_path / "project")
    shutil.copytree(copy.folder / RESULTS, copy.folder / f"{RESULTS}-before")
    (copy.folder / "formula.yaml").write_text(SETTING)
    changed = ("--configfile", TINY, "formula.yaml")
    assert copy.planned(*changed) == dict.fromkeys([*SMOOTHED, "write_config", "all"], 1)

    results = copy.folder / RESULTS
    before = {p: p.stat().st_mtime_ns for p in results.glob("*/*.parquet")}
    finished = copy.snakemake(*changed, "--", target)
    assert finished.returncode == 0, finished.stdout
    rewritten = {p.parent.name for p, time in before.items() if p.stat().st_mtime_ns != time}
    assert rewritten == REWRITTEN[target]

    table = read_table(results / "fit_readout/sums.parquet", "reconstructions")
    table = table[(table.form == "A") & (table.readout == "ability")]
    rmse = ((table["predicted"] - table["full_score"]) ** 2).mean() ** 0.5
    assert f"rmse is {rmse:.6f}" in printed
    assert f"compared {rmse:.6f} over {len(table)}" in printed
    both = session(LOAD, BOTH_RUNS, folder=copy.folder)
    assert both.count("rmse_new") == 2
    assert "\nError" not in both


def test_changed_line_of_the_stage_repeats_only_what_depends_on_it(finished_run):
    file = finished_run.folder / "R/fit_readout.R"
    before = file.read_text(encoding="utf-8")
    changed = before.replace("optimism = inputs$optimism", "optimism = 1.5 * inputs$optimism")
    assert changed != before
    file.write_text(changed, encoding="utf-8")
    try:
        assert finished_run.planned() == dict.fromkeys([*SMOOTHED, "all"], 1)
    finally:
        file.write_text(before, encoding="utf-8")
