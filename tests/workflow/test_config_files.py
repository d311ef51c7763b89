"""Which configuration a run has: the demo alone, or the user's file alone."""

import sys

import pytest


@pytest.fixture(scope="module")
def project(new_project):
    return new_project()


def dry_run(project, *options: str):
    """Plan a run, without any --configfile of the test's own."""
    return project.run([sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", *options])


def test_demo_runs_when_no_file_is_given(project):
    planned = dry_run(project).stdout
    for path in (
        "train_tiny_models/slow.parquet",
        "fit_irt/numbers.parquet",
        "follow_run/held-out.parquet",
    ):
        assert f"results/demo/{path}" in planned
    held_out = "evaluate_run/held-out.parquet"
    calibrated = [line for line in planned.splitlines() if "itemwise build-responses" in line]
    assert calibrated
    assert not any(held_out in line for line in calibrated)


def test_simulated_demo_is_a_second_configuration(project):
    planned = dry_run(project, "--configfile", "config/simulated.yaml").stdout
    for path in ("simulate_population/arithmetic.parquet", "fit_irt/trivia.parquet"):
        assert f"results/simulated/{path}" in planned
    assert "train_tiny_models" not in planned


def test_single_keys_change_the_demo(project):
    planned = dry_run(project, "--config", "run=x").stdout
    assert "results/x/fit_irt/numbers.parquet" in planned
    assert "results/demo" not in planned


def test_file_inherits_nothing_from_the_demo(project):
    (project.folder / "mine.yaml").write_text(
        "run: mine\nbenchmarks:\n  sums: {sources: simulated}\n"
    )
    finished = dry_run(project, "--configfile", "mine.yaml", "--printshellcmds")
    assert finished.returncode == 0, finished.stdout
    assert "results/mine/fit_irt/sums.parquet" in finished.stdout
    for trace in ("results/demo", "tiny_models", "numbers", "--budget 24", "--test 0.2"):
        assert trace not in finished.stdout
    assert "--budget 100" in finished.stdout  # the schema's default, where the demo has 24


def test_settings_of_one_benchmark_stay_its_own(project):
    (project.folder / "two.yaml").write_text(
        "run: two\n"
        "selection: {budget: 30}\n"
        "benchmarks:\n"
        "  one: {sources: simulated, selection: {threshold: 0.5}, irt: {model: 3PL}}\n"
        "  two: {sources: simulated}\n"
    )
    printed = dry_run(project, "--configfile", "two.yaml", "--printshellcmds").stdout
    selects = sorted(line for line in printed.splitlines() if "itemwise select-items" in line)
    assert ["--threshold 0.5" in line for line in selects] == [True, False]
    assert ["--budget 30" in line for line in selects] == [True, True]
    fits = sorted(line for line in printed.splitlines() if "itemwise fit-irt" in line)
    assert ["--model 3PL" in line for line in fits] == [True, False]


BAD = {
    "unknown key": (
        "run: r\nbenchmark: {}\n", "unknown key 'benchmark'; did you mean 'benchmarks'?",
    ),
    "wrong value": (
        "run: r\nbenchmarks: {b: {sources: simulated}}\nirt: {model: 5PL}\n",
        "key 'irt.model': '5PL' is not one of 1PL, 2PL, 3PL, 4PL",
    ),
    "variable that is not set": (
        "run: r\nbenchmarks: {b: {sources: [$NOT_SET_ANYWHERE/a.csv]}}\n",
        "path '$NOT_SET_ANYWHERE/a.csv': environment variable is not set; export it first",
    ),
    "source that does not exist": (
        "run: r\nbenchmarks: {b: {sources: [none/a.csv]}}\n",
        "config: key 'benchmarks.b.sources': none/a.csv: no such file or folder; correct the path",
    ),
    "metadata that do not exist": (
        "run: r\nsubject_metadata: none.parquet\nbenchmarks: {b: {sources: simulated}}\n",
        "config: key 'subject_metadata': none.parquet: no such file; correct the path",
    ),
    "folder of sample logs": (
        "run: r\nbenchmarks: {b: {sources: [logs]}}\n",
        "key 'benchmarks.b.sources': logs: holds sample logs; make one table of them first",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_bad_configuration_fails_before_anything_runs(text, message, project):
    (project.folder / "logs").mkdir(exist_ok=True)
    (project.folder / "logs" / "samples_t_2026-02-01T09-30-00.jsonl").touch()
    (project.folder / "bad.yaml").write_text(text)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "bad.yaml"]
    finished = project.run(command)
    assert finished.returncode != 0
    assert message in finished.stdout
    assert "Traceback" not in finished.stdout
    assert not (project.folder / "results").exists()
