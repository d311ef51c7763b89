"""What names of checkpoints tell, as they are called in public."""

import pytest

from itemwise.analyses.checkpoint_names import read_folder, read_name


@pytest.mark.parametrize(
    ("name", "step", "tokens"),
    [
        ("step1000", 1000, None),
        ("step1000-unsharded", 1000, None),
        ("checkpoint-7", 7, None),
        ("checkpoint-10-v2", 10, None),
        ("checkpoint-1000steps", 1000, None),
        ("ckpt_012", 12, None),
        ("global_step30", 30, None),
        ("iter_0000500", 500, None),
        ("iter-0010000-ckpt", 10_000, None),
        ("ep0-ba1000-rank0", 1000, None),
        ("epoch=3-step=1000", 1000, None),
        ("0001000", 1000, None),
        ("checkpoint-3-step500", 500, None),
        ("step500-tokens2B", 500, 2e9),
        ("stage1-step102500-tokens858B", 102_500, 858e9),
        ("stage2-ingredient1-step1000-tokens5B", 1000, 5e9),
        ("step-001000-2BT", 1000, 2e9),
        ("step-50K-105b", 50_000, 105e9),
        ("TinyLlama-1.1B-intermediate-step-1431k-3T", 1_431_000, 3e12),
        ("step71500-tokens1.5T", 71_500, 1.5e12),
        ("step70-300M", 70, 300e6),
        ("tokens-300M", None, 300e6),
        ("ckpt-1.5T", None, 1.5e12),
        ("pythia-1.4b-step1000", 1000, None),
        ("step1000-7b-chat", 1000, None),
        ("CrystalCoder_phase3_checkpoint_027728", 27_728, None),
        ("step0-tokens0B", 0, 0),
        ("step150-tokens0B", 150, None),
        ("final", None, None),
        ("epoch-3", None, None),
        ("llama-7b", None, None),
        ("step1000.5", None, None),
    ],
)
def test_step_and_tokens(name, step, tokens):
    told = read_name(name)
    assert (told.step, told.tokens) == (step, tokens)


def test_stages():
    assert read_name("stage2-ingredient3-step10").stage == (("stage", 2), ("ingredient", 3))
    assert read_name("CrystalCoder_phase3_checkpoint_027728").stage == (("phase", 3),)
    assert read_name("step10").stage == ()


@pytest.mark.parametrize(
    ("name", "state", "step"),
    [
        ("final", '{"global_step": 1500}', 1500),
        ("step10", '{"global_step": 1500}', 10),
        ("final", '{"epoch": 3}', None),
        ("final", "[1]", None),
        ("final", "{", None),
    ],
)
def test_a_folder_that_is_not_named_by_step_may_hold_it(name, state, step, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "trainer_state.json").write_text(state)
    assert read_folder(tmp_path / name).step == step
