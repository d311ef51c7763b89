"""Lists of checkpoints, subsets, folders that grow."""

import numpy as np
import pandas as pd
import pytest

from itemwise.analyses import checkpoint_lists
from itemwise.analyses.watch import Watch
from itemwise.errors import UserError
from itemwise.tables.contract import check_table, read_table


def test_amber_is_360_checkpoints_and_the_last_is_main():
    table = checkpoint_lists.family("amber")
    assert len(table) == 360
    assert table["revision"].iloc[[0, 358, 359]].tolist() == ["ckpt_000", "ckpt_358", "main"]
    assert table["tokens"].iloc[[0, 359]].tolist() == [3.5e9, 1.26e12]


def test_pythia_steps_as_published():
    table = checkpoint_lists.family("pythia", "1.4b-deduped")
    assert table["model"].iloc[0] == "EleutherAI/pythia-1.4b-deduped"
    assert len(table) == 154
    assert table["revision"].tolist()[:12] == [
        f"step{s}" for s in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
    ]
    assert table["tokens"].iloc[-1] == 143_000 * 2_097_152


@pytest.mark.parametrize("name", checkpoint_lists.FAMILIES)
def test_families_keep_the_contract_and_the_order_of_training(name):
    table = checkpoint_lists.family(name)
    check_table(table.dropna(axis=1, how="all").assign(dtype=None), "checkpoints", name)
    assert (np.diff(table["tokens"]) > 0).all()
    assert (name in ("amber", "pythia")) == table["note"].isna().all()


def test_names_that_tell_their_step():
    table = checkpoint_lists.named("x", [
        "main", "step1000-tokens4B", "stage1-step2000-tokens9B", "ckpt_012", "checkpoint-7",
        "global_step30", "CrystalCoder_phase3_checkpoint_027728", "step-001000-2BT",
    ]).set_index("revision")  # fmt: skip
    assert table["step"].drop("main").to_dict() == {
        "step1000-tokens4B": 1000, "stage1-step2000-tokens9B": 2000, "ckpt_012": 12,
        "checkpoint-7": 7, "global_step30": 30, "CrystalCoder_phase3_checkpoint_027728": 27728,
        "step-001000-2BT": 1000,
    }  # fmt: skip
    assert table.loc["stage1-step2000-tokens9B", "tokens"] == 9e9
    assert table.loc["CrystalCoder_phase3_checkpoint_027728", "tokens"] == pytest.approx(1.382e12)
    assert np.isnan(table.loc["main", "step"])


@pytest.mark.parametrize("count", [1, 2, 5, 360, 999])
def test_subset_by_count(count):
    picked = checkpoint_lists.subset(checkpoint_lists.amber(), count=count)
    assert len(picked) == min(count, 360)
    assert picked["revision"].iloc[-1] == "main"
    assert count == 1 or picked["revision"].iloc[0] == "ckpt_000"
    assert picked["revision"].is_unique


def test_subset_by_spacing():
    picked = checkpoint_lists.subset(checkpoint_lists.amber(), every_tokens=100e9)
    gaps = np.diff(picked["tokens"])
    assert (gaps[:-1] >= 100e9).all()
    assert picked["revision"].iloc[[0, -1]].tolist() == ["ckpt_000", "main"]
    with pytest.raises(UserError, match="not both"):
        checkpoint_lists.subset(checkpoint_lists.amber(), 3, 1e9)
    with pytest.raises(UserError, match="checkpoint 'x@main': its tokens are not known"):
        checkpoint_lists.subset(checkpoint_lists.named("x", ["main"]), every_tokens=1e9)


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
    table = checkpoint_lists.subset(checkpoint_lists.family("olmo"), count=3)
    table.to_csv(tmp_path / "c.csv", index=False)
    read = checkpoint_lists.from_file(tmp_path / "c.csv")
    pd.testing.assert_frame_equal(read[["model", "revision", "step", "tokens"]],
                                  table[["model", "revision", "step", "tokens"]])  # fmt: skip
