"""From a hub on this machine to response matrices, by the pipeline."""

import pandas as pd
import pyarrow.parquet as pq
from collecting import environment, write_models
from hub_server import HubServer
from leaderboard_world import make_v1

CONFIG = """\
run: collected
collect: {{source: v1, models: {models}, plan: enterprise}}
benchmarks:
  arc: {{sources: collected}}
  gsm8k: {{sources: collected}}
irt: {{reference: never}}
split: {{test: 0.2, folds: 5}}
selection: {{budget: 10, random_forms: 2, draws: 50}}
"""


def test_pipeline_collects_and_builds(new_project, tmp_path):
    project = new_project()
    world = make_v1(24, with_mmlu=100, mmlu_traps=0, kinds=("plain", "shuffled"), broken=())
    models = write_models(world, tmp_path)
    (project.folder / "collected.yaml").write_text(CONFIG.format(models=models))
    target = "results/collected/build_responses"
    with HubServer(world.repositories) as server:
        project.environment = {**environment(server), **project.environment,
                               "HF_ENDPOINT": server.endpoint}  # fmt: skip
        project.environment.pop("HF_HUB_OFFLINE", None)  # other tests set it
        done = project.snakemake(
            f"{target}/arc.parquet", f"{target}/gsm8k.parquet", "--configfile", "collected.yaml"
        )
        assert done.returncode == 0, done.stdout
        asked = server.counts["resolve"]
        assert asked
    matrix = pq.read_table(project.folder / target / "arc.parquet")
    assert matrix.num_rows == 24
    assert matrix.num_columns == 41
    items = pd.read_parquet(project.folder / target / "arc.items.parquet")
    assert items["text"].str.startswith("What is arc:challenge").all()
    subjects = pd.read_parquet(project.folder / target / "arc.subjects.parquet")
    groups = subjects.groupby("group")["subject"].agg(set).tolist()
    assert groups == world.copies
    again = project.snakemake(
        "--dry-run", f"{target}/arc.parquet", "--configfile", "collected.yaml"
    )
    assert "Nothing to be done" in again.stdout


def test_unknown_benchmarks_are_refused_before_anything_runs(new_project, tmp_path):
    project = new_project()
    (project.folder / "wrong.yaml").write_text(
        "run: wrong\nbenchmarks:\n  arcs: {sources: collected}\n"
    )
    done = project.snakemake("--dry-run", "--configfile", "wrong.yaml")
    assert done.returncode != 0
    assert "benchmark 'arcs' is collected, but leaderboard v1 has arc, hellaswag" in done.stdout
