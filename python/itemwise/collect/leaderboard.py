"""The benchmarks of the two leaderboards: their tasks, shots and metrics.

Sources: the leaderboards' own task lists (spec of v1: lm-evaluation-harness of 2023;
v2: the harness's group `leaderboard`).
"""

from __future__ import annotations

from dataclasses import dataclass

from itemwise.errors import UserError, listed, suggestion

MMLU_SUBJECTS = (
    "abstract_algebra", "anatomy", "astronomy", "business_ethics", "clinical_knowledge",
    "college_biology", "college_chemistry", "college_computer_science", "college_mathematics",
    "college_medicine", "college_physics", "computer_security", "conceptual_physics",
    "econometrics", "electrical_engineering", "elementary_mathematics", "formal_logic",
    "global_facts", "high_school_biology", "high_school_chemistry",
    "high_school_computer_science", "high_school_european_history", "high_school_geography",
    "high_school_government_and_politics", "high_school_macroeconomics",
    "high_school_mathematics", "high_school_microeconomics", "high_school_physics",
    "high_school_psychology", "high_school_statistics", "high_school_us_history",
    "high_school_world_history", "human_aging", "human_sexuality", "international_law",
    "jurisprudence", "logical_fallacies", "machine_learning", "management", "marketing",
    "medical_genetics", "miscellaneous", "moral_disputes", "moral_scenarios", "nutrition",
    "philosophy", "prehistory", "professional_accounting", "professional_law",
    "professional_medicine", "professional_psychology", "public_relations", "security_studies",
    "sociology", "us_foreign_policy", "virology", "world_religions",
)  # fmt: skip


@dataclass(frozen=True)
class Benchmark:
    """A benchmark as a leaderboard runs it.

    Attributes
    ----------
    name : str
    tasks : tuple of str
        Every task that belongs to it; a run is complete when it has them all.
    metric : str
        Metric of the items, 0 or 1.
    score : str
        Metric of the published score.
    shots : int, optional
        Worked examples in the prompt; part of a file's name in v1.
    """

    name: str
    tasks: tuple[str, ...]
    metric: str | None
    score: str | None
    shots: int | None = None


def _family(group: str, names: str, suffix: str = "") -> tuple[str, ...]:
    return tuple(f"leaderboard_{group}_{name}{suffix}" for name in names.split())


V1 = (
    Benchmark("arc", ("arc:challenge",), "acc_norm", "acc_norm", 25),
    Benchmark("hellaswag", ("hellaswag",), "acc_norm", "acc_norm", 10),
    Benchmark("mmlu", tuple(f"hendrycksTest-{s}" for s in MMLU_SUBJECTS), "acc", "acc", 5),
    Benchmark("truthfulqa", ("truthfulqa:mc",), "mc1", "mc2", 0),
    Benchmark("winogrande", ("winogrande",), "acc", "acc", 5),
    Benchmark("gsm8k", ("gsm8k",), "acc", "acc", 5),
)
V2 = (
    Benchmark(
        "bbh",
        _family(
            "bbh",
            "boolean_expressions causal_judgement date_understanding disambiguation_qa "
            "formal_fallacies geometric_shapes hyperbaton logical_deduction_five_objects "
            "logical_deduction_seven_objects logical_deduction_three_objects "
            "movie_recommendation navigate object_counting penguins_in_a_table "
            "reasoning_about_colored_objects ruin_names salient_translation_error_detection "
            "snarks sports_understanding temporal_sequences "
            "tracking_shuffled_objects_five_objects tracking_shuffled_objects_seven_objects "
            "tracking_shuffled_objects_three_objects web_of_lies",
        ),
        "acc_norm",
        "acc_norm",
    ),
    Benchmark("gpqa", _family("gpqa", "diamond extended main"), "acc_norm", "acc_norm"),
    Benchmark(
        "musr",
        _family("musr", "murder_mysteries object_placements team_allocation"),
        "acc_norm",
        "acc_norm",
    ),
    Benchmark("mmlu_pro", ("leaderboard_mmlu_pro",), "acc", "acc"),
    Benchmark(
        "math",
        _family(
            "math",
            "algebra counting_and_prob geometry intermediate_algebra num_theory prealgebra "
            "precalculus",
            "_hard",
        ),
        "exact_match",
        "exact_match",
    ),
    Benchmark(
        "ifeval",
        ("leaderboard_ifeval",),
        "prompt_level_strict_acc",
        "prompt_level_strict_acc",
    ),
)
LEADERBOARDS = {"v1": {b.name: b for b in V1}, "v2": {b.name: b for b in V2}}


def chosen(source: str, names: list[str], tasks: dict[str, str]) -> list[Benchmark]:
    """Return the benchmarks that are asked for.

    Parameters
    ----------
    source : {"v1", "v2", "samples"}
    names : list of str
        Names of the leaderboard's benchmarks; of sample logs any name.
    tasks : dict
        Sample logs: benchmark of each task; without tasks the name is the task's.

    Raises
    ------
    UserError
        The leaderboard has no such benchmark.
    """
    if source == "samples":
        return [
            Benchmark(n, tuple(t for t, b in tasks.items() if b == n) or (n,), None, None)
            for n in names
        ]
    known = LEADERBOARDS[source]
    for name in names:
        if name not in known:
            raise UserError(
                f"--benchmarks: leaderboard {source} has no '{name}'; "
                f"{suggestion(name, known, cutoff=0.5)}"
                f"it has {listed(known, 9)}"
            )
    return [known[name] for name in dict.fromkeys(names)]
