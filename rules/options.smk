# What rules hand to their commands besides results and sections of the configuration.
import json


def options_of(section, only=(), leave_out=()):
    """Return the keys of a section as options, those of the rule's benchmark where it has its own.

    Section `benchmarks` is what is set of the benchmark itself.
    """
    keys = list(section_rules(section, only, leave_out))

    def of_benchmark(wildcards):
        own = CONFIG["benchmarks"][wildcards.benchmark]
        values = own if section == "benchmarks" else own[section]
        return as_options({key: values[key] for key in keys})

    if section in ("benchmarks", *OVERRIDABLE):
        return of_benchmark
    return as_options({key: CONFIG[section][key] for key in keys})


def options_from(files, leave_out):
    """Return a rule's inputs as options of their names, but its code and those left out."""
    apart = {"code", *leave_out}
    return as_options({name: files[name] for name in files.keys() if name not in apart})


def source_paths(wildcards):
    """Return the sources of a benchmark: its files, or what the workflow makes."""
    sources = CONFIG["benchmarks"][wildcards.benchmark]["sources"]
    if sources == "simulated":
        return result("simulate_population", "responses")
    if sources == "collected":
        return result("scrape_leaderboard", "shards")
    if sources == "evaluated":
        models = expand(result("evaluate_model", "evaluations"), lm=LMS)
        return models + expand(result("evaluate_run", "evaluations"), training_run=CALIBRATING)
    return [file for path in sources for file in SOURCES[path]]


def metadata(wildcards):
    """Return the tables of what is known of items and models: given, collected or evaluated."""
    benchmark = wildcards.benchmark
    items = CONFIG["benchmarks"][benchmark]["item_metadata"]
    subjects = [CONFIG["subject_metadata"]] if CONFIG["subject_metadata"] else []
    if benchmark in COLLECTED:
        items = items or result("scrape_leaderboard", "item_table").format(benchmark=benchmark)
        subjects = subjects or [result("scrape_leaderboard", "subjects")]
    elif benchmark in EVALUATED:
        prompts = result("evaluate_run", "documents")
        if LMS:
            prompts = result("evaluate_model", "documents").format(lm=LMS[0])
        items = items or prompts
    subjects = subjects or expand(result("train_tiny_models", "subjects"), training_run=CALIBRATING)
    return {"item_metadata": items, "subject_metadata": subjects}


def metadata_paths(wildcards):
    """Return the optional inputs of a benchmark that are given."""
    known = metadata(wildcards)
    given = [CONFIG["benchmarks"][wildcards.benchmark]["full_scores"], known["item_metadata"]]
    return [path for path in given if path is not None] + known["subject_metadata"]


def calibrated(name):
    """Return a function to a result of what chose the items to calibrate.

    That is screening, or preselection where it is set. `training` is the training table that
    calibration and everything after it reads, `item_table` what is known of the items.
    """
    return lambda wildcards: result(chooser(wildcards.benchmark), name)


def chooser(benchmark):
    """Return the stage that chose the items of a benchmark to calibrate."""
    return "preselect_items" if benchmark in PRESELECTED else "screen_items"


def calibrated_of_each(name):
    """Return such a result of all benchmarks."""
    return [result(chooser(b), name).format(benchmark=b) for b in BENCHMARKS]


def budgets():
    """Return the items of a form, and the forms, that each benchmark is asked for.

    A threshold makes forms as large as it does: one item is enough.
    """
    asked = [CONFIG["benchmarks"][name]["selection"] for name in BENCHMARKS]
    return {
        "budgets": [1 if each["threshold"] is not None else each["budget"] for each in asked],
        "forms": [each["forms"] for each in asked],
    }


def fit_code(wildcards):
    """Return the code of the engine that calibrates a benchmark."""
    engine = CONFIG["benchmarks"][wildcards.benchmark]["irt"]["engine"]
    return stage_code("fit_irt") + (stage_code("fit_irt", "R") if engine == "mirt" else [])


def tasks_of(benchmarks):
    """Return the tasks of benchmarks, each as `task=benchmark`."""
    return [f"{task}={b}" for b in benchmarks for task in CONFIG["benchmarks"][b]["tasks"]]


EVALUATED_TASKS = {
    "tasks": [task for b in EVALUATED for task in CONFIG["benchmarks"][b]["tasks"]],
    "benchmark_of": tasks_of(EVALUATED),
}
"""What evaluations ask, as options."""


def training_runs():
    """Return the training runs as JSON, with what makes each differ."""
    keys = ("width", "layers", "learning_rate", "share", "left_out", "seed")
    runs = TINY_RUNS.items()
    return [json.dumps({"name": name, **{key: run[key] for key in keys}}) for name, run in runs]


def side_by_side():
    """Return how many training runs one job takes on at once; no more than there are cores."""
    return min(16, max(1, len(TINY_RUNS)))


def checkpoints(name):
    """Return the folders of a run's checkpoints, in the order of training."""
    return [
        f"{RUN}/train_tiny_models/{name}/step-{n}" for n in CONFIG["tiny_models"]["checkpoints"]
    ]


def checkpoint_options(wildcards):
    """Return which checkpoint a process loads, as options."""
    row = CHECKPOINTS[wildcards.lm, wildcards.revision]
    known = {
        "lm": row["location"] or row["model"],
        "name": row["model"],
        "revision": row["revision"],
        "step": row["step"],
        "tokens": row["tokens"],
        "dtype": row["dtype"] or PROFILE["dtype"],
    }
    return as_options(known)


def profile_settings():
    """Return the settings of analyses, each as `analysis.key=value`."""
    return [
        f"{analysis}.{key}={json.dumps(value)}"
        for analysis, settings in PROFILE["settings"].items()
        for key, value in settings.items()
    ]


def report_inputs(wildcards):
    """Return what the report shows."""
    shown = {
        "build_responses": ["responses", "subjects", "record"],
        "screen_items": ["item_table", "record"],
        "fit_irt": ["parameters", "record"],
        "score_subjects": ["abilities"],
        "select_items": ["selection", "record"],
        "score_forms": ["abilities"],
        "score_test": ["abilities"],
        "fit_process": ["reconstructions", "record"],
        "draw_baseline": ["baseline", "record"],
    }
    files = [of_each(stage, name) for stage, names in shown.items() for name in names]
    for stage, names, benchmarks in (
        ("simulate_population", ["parameters", "abilities"], SIMULATED),
        ("preselect_items", ["record"], PRESELECTED),
        ("compare_engines", ["record"], REFERENCE),
        ("search_selection", ["trials", "record"], SEARCH),
        ("simulate_cat", ["study"], ADAPTIVE),
    ):
        files += [expand(result(stage, name), benchmark=benchmarks) for name in names]
    files += [results(stage).values() for stage in ("split_subjects", "assess_readout")]
    files += [results("analyze_factors").values()] if FACTORS else []
    files += [expand(result("follow_run", "run_measures"), training_run=HELD_OUT)]
    files += [of_each_run("train_tiny_models", "record")]
    return [file for group in files for file in group]
