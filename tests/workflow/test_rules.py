"""The rules as written: style, environments, and the code that each lists."""

import re

import pytest
import yaml

from itemwise.paths import ROOT

ENGINE = "_mirt"  # the rules of the reference engine write beside those of the native one
LOADS_MODELS = (
    "evaluate_model", "evaluate_run", "train_tiny_models", "adapt_checkpoints",
    "profile_checkpoints",
)  # fmt: skip
RULE = re.compile(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
RULES = {
    name: body
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for name, body in RULE.findall(path.read_text(encoding="utf-8"))
    if "template_engine" not in body  # Snakemake itself does it
}
LONGEST = 40
"""Lines of a rule: it fits a screen."""
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


@pytest.mark.parametrize("name", RULES)
def test_rule_lists_code_among_its_inputs(name):
    inputs = re.search(r"    input:\n(.*?)\n    \w+:\n", RULES[name], re.DOTALL)[1]
    assert re.search(r"\bcode=", inputs), "a change of its code would not be noticed"


@pytest.mark.parametrize("name", RULES)
def test_rule_has_environment_log_and_benchmark_of_its_name(name):
    body = RULES[name]
    environment = re.search(r'conda:\n\s+"\.\./(envs/\w+\.yaml)"', body)
    assert environment, "no conda environment"
    assert (ROOT / environment[1]).is_file()
    language = "r" if "Rscript" in body else "python"
    expected = "evaluate" if name in LOADS_MODELS else language
    assert environment[1] == f"envs/{expected}.yaml"
    stage = name.removesuffix(ENGINE)
    assert f'log_of("{stage}"' in body
    assert f'time_of("{stage}"' in body
    assert "> {log:q} 2>&1" in body


@pytest.mark.parametrize("name", RULES)
def test_rule_fits_a_screen(name):
    assert RULES[name].strip().count("\n") < LONGEST


def test_rules_that_do_not_say_what_they_need_get_it_from_the_clusters_profile():
    default, slurm = (
        yaml.safe_load((ROOT / "profiles" / name / "profile.yaml").read_text(encoding="utf-8"))
        for name in ("default", "slurm")
    )
    asked = slurm["default-resources"]
    assert (asked["mem_mb"], asked["runtime"]) == ("4000 * attempt", "60 * attempt")
    # The default profile is always loaded; its keys would replace those of the cluster's.
    assert not default.keys() & slurm.keys() - {"rerun-incomplete", "printshellcmds",
                                                "show-failed-logs"}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_rule_asks_for_memory_and_time_together(name):
    asked = [f"        {resource}=" in RULES[name] for resource in ("mem_mb", "runtime")]
    assert asked[0] == asked[1]


@pytest.mark.parametrize("name", RULES)
def test_results_lie_in_a_folder_of_the_rules_name(name):
    outputs = re.search(r"    output:\n(.*?)\n    \w+:\n", RULES[name], re.DOTALL)[1]
    stages = set(re.findall(r'(?:results?|of_each|of_each_run)\(\s*"(\w+)"', outputs))
    products = ("report.html", "profile.html", "BANK", "TRAJECTORIES")  # what people take away
    assert stages == {name.removesuffix(ENGINE)} or any(place in outputs for place in products)


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environment_is_pinned_exactly(path):
    environment = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    for dependency in environment["dependencies"]:
        assert re.fullmatch(r"[a-z0-9_-]+ =\d+(\.\d+)+(_\d+)?", dependency), dependency


def test_python_environment_has_the_versions_of_the_constraints():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    versions = dict(line.lower().split("==") for line in lines if "==" in line and line[0] != "#")
    environment = yaml.safe_load((ROOT / "envs" / "python.yaml").read_text(encoding="utf-8"))
    for dependency in environment["dependencies"]:
        name, version = dependency.split(" =")
        if name not in ("python", "pip"):
            assert versions[name.removesuffix("-base")].split()[0] == version, name


def test_lint_is_clean(new_project):
    linted = new_project().snakemake("--lint")
    assert linted.returncode == 0, linted.stdout
    assert "Congratulations" in linted.stdout
