"""Lists of checkpoints, subsets, folders that grow."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from itemwise.analyses import checkpoint_families, checkpoint_lists
from itemwise.analyses.watch import Watch
from itemwise.errors import UserError
from itemwise.tables.contract import check_table, read_table


def test_amber_is_360_checkpoints_and_the_last_is_main():
    table = checkpoint_families.family("amber")
    assert len(table) == 360
    assert table["revision"].iloc[[0, 358, 359]].tolist() == ["ckpt_000", "ckpt_358", "main"]
    assert table["tokens"].iloc[[0, 359]].tolist() == [3.5e9, 1.26e12]


def test_pythia_steps_as_published():
    table = checkpoint_families.family("pythia", "1.4b-deduped")
    assert table["model"].iloc[0] == "EleutherAI/pythia-1.4b-deduped"
    assert len(table) == 154
    assert table["revision"].tolist()[:12] == [
        f"step{s}" for s in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
    ]
    assert table["tokens"].iloc[-1] == 143_000 * 2_097_152


@pytest.mark.parametrize("name", checkpoint_families.FAMILIES)
def test_families_keep_the_contract_and_the_order_of_training(name):
    table = checkpoint_families.family(name)
    check_table(table.dropna(axis=1, how="all").assign(dtype=None), "checkpoints", name)
    assert (np.diff(table["tokens"]) > 0).all()
    assert (name in ("amber", "pythia")) == table["note"].isna().all()


def test_names_are_put_in_the_order_of_training():
    table = checkpoint_families.named("x", [
        "main", "step2000", "stage2-step100-tokens1B", "step1000-tokens4B",
        "stage1-step2000-tokens9B", "CrystalCoder_phase3_checkpoint_027728",
    ])  # fmt: skip
    assert table["revision"].tolist() == [
        "step1000-tokens4B", "step2000", "CrystalCoder_phase3_checkpoint_027728",
        "stage1-step2000-tokens9B", "stage2-step100-tokens1B", "main",
    ]  # fmt: skip
    assert table.loc[2, "tokens"] == pytest.approx(1.382e12)
    assert np.isnan(table.loc[5, "step"])
    assert "several stages" in table.loc[0, "note"]


@pytest.mark.parametrize("count", [1, 2, 5, 360, 999])
def test_subset_by_count(count):
    picked = checkpoint_lists.subset(checkpoint_families.amber(), count=count)
    assert len(picked) == min(count, 360)
    assert picked["revision"].iloc[-1] == "main"
    assert count == 1 or picked["revision"].iloc[0] == "ckpt_000"
    assert picked["revision"].is_unique


def test_subset_by_spacing():
    picked = checkpoint_lists.subset(checkpoint_families.amber(), every_tokens=100e9)
    gaps = np.diff(picked["tokens"])
    assert (gaps[:-1] >= 100e9).all()
    assert picked["revision"].iloc[[0, -1]].tolist() == ["ckpt_000", "main"]
    with pytest.raises(UserError, match="not both"):
        checkpoint_lists.subset(checkpoint_families.amber(), 3, 1e9)
    with pytest.raises(UserError, match="checkpoint 'x@main': its tokens are not known"):
        checkpoint_lists.subset(checkpoint_families.named("x", ["main"]), every_tokens=1e9)


def test_stage_lists_folders_and_refuses_twice(itemwise, tmp_path):
    for name in ("run/checkpoint-100", "run/checkpoint-20", "empty"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("100", "20"):
        (tmp_path / f"run/checkpoint-{name}/config.json").write_text("{}")
    out = tmp_path / "c.parquet"
    command = ["list-checkpoints", "--folder", tmp_path / "run", "--tokens-per-step", "8"]
    assert itemwise(*command, "--family", "amber", "--count", "2", "--out", out).status == 0
    table = read_table(out, "checkpoints")
    assert table["revision"].tolist() == ["ckpt_000", "main", "checkpoint-20", "checkpoint-100"]
    assert table["tokens"].tolist()[2:] == [160, 800]
    assert table["location"][2].endswith("run/checkpoint-20")
    table.to_csv(tmp_path / "c.csv", index=False)
    again = itemwise("list-checkpoints", "--table", tmp_path / "c.csv", out, "--out", out)
    assert again.status == 2
    assert "'LLM360/Amber@ckpt_000' is listed twice" in again.err
    for options, message in (
        ([], "nothing to list"),
        (["--folder", tmp_path / "empty"], "no folder in it holds a config.json"),
        (["--folder", tmp_path / "none"], "no such folder"),
        (["--family", "ambre"], "family 'ambre' is not known"),
        (["--family", "amber", "--size", "1b"], "has no sizes"),
        (["--hub", "nobody/nothing"], "its revisions cannot be listed"),
    ):
        done = itemwise("list-checkpoints", *options, "--out", tmp_path / "x.parquet")
        assert done.status == 2
        assert message in done.err


@pytest.fixture
def run(tmp_path):
    """Return a function that makes folders of checkpoints, each with a configuration."""

    def make(*names: str):
        for name in names:
            (tmp_path / "run" / name).mkdir(parents=True)
            (tmp_path / "run" / name / "config.json").write_text("{}")
        return tmp_path / "run"

    return make


def test_folders_are_read_as_revisions_are(run):
    names = ("step500-tokens2B", "step1000-tokens4B", "stage1-step102500-tokens858B",
             "checkpoint-10-v2")  # fmt: skip
    table = checkpoint_lists.from_folder(run(*names))
    assert dict(zip(table["revision"], table["step"], strict=True)) == {
        "checkpoint-10-v2": 10, "step500-tokens2B": 500, "step1000-tokens4B": 1000,
        "stage1-step102500-tokens858B": 102500,
    }  # fmt: skip
    assert table["step"].tolist() == [10, 500, 1000, 102500]
    assert table["tokens"].tolist()[1:] == [2e9, 4e9, 858e9]
    assert np.isnan(table["tokens"][0])
    assert [Path(place).name for place in table["location"]] == table["revision"].tolist()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("checkpoint-500", "iter_0000500"), "'checkpoint-500' and 'iter_0000500' .* step 500"),
        (("ckpt-1.5T", "tokens-1500B"), "'ckpt-1.5T' and 'tokens-1500B' are both of 1.5e.12 tok"),
        (("epoch-1", "epoch-2"), r"none of the folders epoch-1, epoch-2 tells its training step"),
    ],
)
def test_folders_without_one_place_each_are_refused(names, message, run):
    with pytest.raises(UserError, match=message):
        checkpoint_lists.from_folder(run(*names))


def test_one_step_of_two_stages_is_two_checkpoints(run):
    table = checkpoint_lists.from_folder(run("stage2-step10", "stage1-step10", "stage1-step20"))
    assert table["revision"].tolist() == ["stage1-step10", "stage1-step20", "stage2-step10"]


def test_a_folder_without_step_is_left_out_and_said(run, tmp_path, itemwise):
    folder = run("step10", "step20", "final", "last", "main")
    (folder / "last/trainer_state.json").write_text('{"global_step": 20}')
    (folder / "main/trainer_state.json").write_text('{"global_step": 30}')
    done = itemwise("list-checkpoints", "--folder", folder, "--out", tmp_path / "l.parquet")
    assert done.status == 0, done.err
    table = read_table(tmp_path / "l.parquet", "checkpoints")
    assert dict(zip(table["revision"], table["step"], strict=True)) == {
        "step10": 10, "step20": 20, "main": 30,
    }  # fmt: skip
    assert "run/final: left out, since neither its name nor" in done.err
    assert "run/last: left out, since it is of step 20 as step20" in done.err


def test_a_single_folder_needs_no_step(run):
    table = checkpoint_lists.from_folder(run("final"))
    assert table["revision"].tolist() == ["final"]
    assert table["step"].isna().all()


def test_tokens_of_names_and_of_steps_that_disagree_are_said(run):
    said = []
    folder = run("step500-tokens2B", "step1000-tokens4B")
    table = checkpoint_lists.from_folder(folder, 4_194_304, said.append)
    assert table["tokens"].tolist() == [500 * 4_194_304, 1000 * 4_194_304]
    assert said == []
    table = checkpoint_lists.from_folder(folder, 100, said.append)
    assert table["tokens"].tolist() == [50_000, 100_000]
    assert "makes 100000 tokens, its name tells 4e+09; the option counts" in said[0]


def test_hub_revisions_without_step_are_said_and_equal_steps_refused(monkeypatch):
    names = ["main", "step10-tokens1B", "step20-tokens2B", "step10-tokens1B"]

    def refs(model):
        return SimpleNamespace(branches=[SimpleNamespace(name=n) for n in names], tags=[])

    monkeypatch.setattr("huggingface_hub.list_repo_refs", refs)
    said = []
    table = checkpoint_lists.from_hub("lab/x", said.append)
    assert table["revision"].tolist() == ["step10-tokens1B", "step20-tokens2B"]
    assert said == ["--hub lab/x: left out, since their names tell no step: main"]
    names.append("step20-v2")
    with pytest.raises(UserError, match="'step20-tokens2B' and 'step20-v2' are both of step 20"):
        checkpoint_lists.from_hub("lab/x")


def test_names_in_paths_are_safe():
    assert checkpoint_lists.slug("LLM360/Amber") == "LLM360__Amber"
    assert checkpoint_lists.slug("/tmp/a b/run") == "tmp__a__b__run"


def test_a_growing_checkpoint_is_complete_when_it_stops_growing(tmp_path):
    watch = Watch(tmp_path)
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert watch.look() == []
    assert watch.look() == []  # no weights yet
    (folder / "model.safetensors").write_bytes(b"1")
    assert watch.look() == []
    (folder / "model.safetensors").write_bytes(b"12")
    assert watch.look() == []  # still growing
    assert watch.look() == [folder]
    assert watch.look() == []
    (folder / "model.safetensors").write_bytes(b"123")
    assert watch.look() == []
    assert watch.look() == [folder]  # other weights count as new


def test_table_of_pandas_survives(tmp_path):
    table = checkpoint_lists.subset(checkpoint_families.family("olmo"), count=3)
    table.to_csv(tmp_path / "c.csv", index=False)
    read = checkpoint_lists.from_file(tmp_path / "c.csv")
    pd.testing.assert_frame_equal(read[["model", "revision", "step", "tokens"]],
                                  table[["model", "revision", "step", "tokens"]])  # fmt: skip
