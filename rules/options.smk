# What rules hand to their commands: inputs and options made of the configuration.
import json
import shlex


def setting(group, key=None):
    """Return a setting of the rule's benchmark as params function."""

    def look_up(wildcards):
        value = CONFIG["benchmarks"][wildcards.benchmark][group]
        return value if key is None else value[key]

    return look_up


def option(name, group, key=None):
    """Return a command-line option, or nothing where the setting is null."""
    get = setting(group, key)

    return lambda wildcards: option_text(name, get(wildcards))


def option_text(name, value):
    """Return a command-line option as text, nothing where there is no value."""
    return "" if value is None else f"--{name} {shlex.quote(str(value))}"


def flag(name, group, key):
    """Return a command-line flag where the setting is true."""
    get = setting(group, key)

    def write(wildcards):
        return f"--{name}" if get(wildcards) else ""

    return write


def language_model(wildcards):
    """Return which language model an evaluation loads, as options."""
    entry = CONFIG["language_models"][wildcards.lm]
    return " ".join(option_text(name, entry.get(name)) for name in ("lm", "revision", "subject"))


def loading_settings(*further):
    """Return how language models are loaded, and further settings of evaluations, as options."""
    settings = CONFIG["evaluate"]
    single = (*further, "backend", "dtype", "device", "batch_size")
    parts = [option_text(name.replace("_", "-"), settings[name]) for name in single]
    parts.append(option_list("lm-args", settings["lm_args"]))
    return " ".join(filter(None, parts))


def evaluation_settings():
    """Return how all language models are evaluated, as options."""
    chat = "--apply-chat-template" if CONFIG["evaluate"]["apply_chat_template"] else ""
    return f"{loading_settings('include_path', 'num_fewshot')} {chat}".strip()


def training_runs():
    """Return the runs of the zoo as JSON, with what makes each differ."""
    keys = ("width", "layers", "learning_rate", "share", "left_out", "seed")
    runs = CONFIG["zoo"]["runs"].items()
    return [json.dumps({"name": name, **{key: run[key] for key in keys}}) for name, run in runs]


def side_by_side():
    """Return how many runs of the zoo one job takes on at once; no more than there are cores."""
    return min(16, max(1, len(CONFIG["zoo"]["runs"])))


def checkpoints(name):
    """Return the folders of a run's checkpoints, in the order of training."""
    return [f"{RUN}/train_zoo/{name}/step-{n}" for n in CONFIG["zoo"]["checkpoints"]]


def evaluated_runs():
    """Return the checkpoints of all runs, as options: one for each run."""
    return " ".join(option_list("lms", checkpoints(name)) for name in CONFIG["zoo"]["runs"])


def benchmark_of_tasks():
    """Return the option that says which benchmark each task belongs to."""
    pairs = [f"{t}={b}" for b in EVALUATED for t in CONFIG["benchmarks"][b]["tasks"]]
    return " ".join(["--benchmark-of", *map(shlex.quote, pairs)]) if pairs else ""


def checkpoint_tables():
    """Return the tables of checkpoints that are given as files."""
    return [entry["table"] for entry in PROFILE["checkpoints"] if "table" in entry]


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
    return " ".join(option_text(name, value) for name, value in known.items())


def profile_bank():
    """Return the bank that checkpoints are measured by, if any."""
    return [PROFILE["bank"]] if PROFILE["bank"] else []


def profile_settings():
    """Return how checkpoints are loaded and analysed, as options."""
    single = ("backend", "device", "batch_size", "bank", "rule")
    parts = [option_text(name.replace("_", "-"), PROFILE[name]) for name in single]
    values = [
        f"{analysis}.{key}={json.dumps(value)}"
        for analysis, settings in PROFILE["settings"].items()
        for key, value in settings.items()
    ]
    parts += [option_list("lm-args", PROFILE["lm_args"]), option_list("set", values)]
    parts += [option_list("analyses", ANALYSES)]
    parts += ["--trust-remote-code"] if PROFILE["trust_remote_code"] else []
    return " ".join(filter(None, parts))


def option_list(name, values):
    """Return a command-line option with several values, nothing where there are none."""
    text = " ".join(map(shlex.quote, values))
    return f"--{name} {text}" if text else ""


def joint_options(wildcards, input):
    """Return the options that name the joint read-out, nothing where there is none."""
    names = ("joint-terms", "joint-record")
    return " ".join(option_text(*pair) for pair in zip(names, input.joint))


def form_size(wildcards):
    """Return how large a short form may be: by threshold, else by budget."""
    selection = CONFIG["benchmarks"][wildcards.benchmark]["selection"]
    if selection["threshold"] is not None:
        return f"--threshold {selection['threshold']}"
    return f"--budget {selection['budget']}"


def source_paths(wildcards):
    """Return the sources of a benchmark: its files, or its simulated population."""
    sources = CONFIG["benchmarks"][wildcards.benchmark]["sources"]
    if sources == "simulated":
        return [f"{RUN}/simulate_population/{wildcards.benchmark}.parquet"]
    if sources == "evaluated":
        models = expand(f"{RUN}/evaluate_model/{{lm}}.parquet", lm=LMS)
        return models + expand(f"{RUN}/evaluate_run/{{run}}.parquet", run=ZOO)
    if sources == "collected":
        return [f"{RUN}/scrape_leaderboard/{wildcards.benchmark}"]
    return [file for path in sources for file in SOURCES[path]]


def item_metadata(wildcards):
    """Return the table of what is known of the items: that given, or the evaluated prompts."""
    given = CONFIG["benchmarks"][wildcards.benchmark]["item_metadata"]
    if given is None and wildcards.benchmark in EVALUATED:
        first = f"evaluate_model/{LMS[0]}" if LMS else "evaluate_run/zoo"
        return f"{RUN}/{first}.documents.parquet"
    if given is None and wildcards.benchmark in COLLECTED:
        return f"{RUN}/scrape_leaderboard/{wildcards.benchmark}.items.parquet"
    return given


def build_options(wildcards):
    """Return what a build leaves out, as options."""
    benchmark = CONFIG["benchmarks"][wildcards.benchmark]
    parts = [option_text("distinct", benchmark["distinct"])]
    parts += ["--drop-incomplete"] if benchmark["incomplete"] == "drop" else []
    parts += [f"--lowest {benchmark['lowest']}"] if benchmark["lowest"] else []
    return " ".join(filter(None, parts))


def calibrated_items(wildcards):
    """Return the items table of calibration and selection: screened, and thinned if so set."""
    thinned = CONFIG["benchmarks"][wildcards.benchmark]["thinning"]["items"] is not None
    return f"{RUN}/{'thin' if thinned else 'screen'}_items/{wildcards.benchmark}.parquet"


def published_numbers():
    """Return what others published, as one option of the report."""
    named = {**CONFIG["benchmarks"], "grand": CONFIG}
    rows = [{"benchmark": name, **row} for name in named for row in named[name]["published"]]
    return option_text("published", json.dumps(rows)) if rows else ""


def subject_metadata(wildcards):
    """Return the tables of what is known of the models: that given, collected, or of the zoo."""
    if CONFIG["subject_metadata"] is not None:
        return [CONFIG["subject_metadata"]]
    if wildcards.benchmark in COLLECTED:
        return [f"{RUN}/scrape_leaderboard/subjects.parquet"]
    return expand(f"{RUN}/train_zoo/{{run}}.parquet", run=ZOO)


def collection_settings():
    """Return what is collected and how, as options."""
    settings = CONFIG["collect"]
    single = ("source", "models", "organization", "plan", "workers", "attempts", "max_disk")
    parts = [
        option_text(name.replace("_", "-"), settings[name])
        for name in (*single, "kappa", "contact")
    ]
    parts.append(option_list("repositories", settings["repositories"]))
    tasks = [f"{t}={b}" for b in COLLECTED for t in CONFIG["benchmarks"][b]["tasks"]]
    parts.append(option_list("benchmark-of", tasks))
    parts.append("--accept-pending" if settings["accept_pending"] else "")
    return " ".join(filter(None, parts))


def metadata_paths(wildcards):
    """Return the optional inputs of a benchmark that are given."""
    benchmark = CONFIG["benchmarks"][wildcards.benchmark]
    given = [benchmark["full_scores"], item_metadata(wildcards)]
    return [path for path in given if path is not None] + subject_metadata(wildcards)


def fit_code(wildcards):
    """Return the code of the engine that calibrates a benchmark."""
    engine = CONFIG["benchmarks"][wildcards.benchmark]["irt"]["engine"]
    return stage_code("fit_irt") + (stage_code("fit_irt", "R") if engine == "mirt" else [])


def cat_rules():
    """Return the rules of adaptive tests to simulate, as options."""
    return " ".join(option_text("rule", rule) for rule in CONFIG["cat"]["rules"])


def not_compared():
    """Return why the reference engine leaves benchmarks out, as an option of the report."""
    settings = {name: CONFIG["benchmarks"][name]["irt"] for name in BENCHMARKS}
    reasons = [
        f"{name}={'never' if irt['reference'] == 'never' else 'missing'}"
        for name, irt in settings.items()
        if irt["engine"] == "native" and name not in REFERENCE
    ]
    return option_list("not-compared", reasons)


def report_inputs(wildcards):
    """Return what the report shows of every benchmark."""
    stages = {
        "build_responses": ["parquet", "json"],
        "screen_items": ["parquet", "json"],
        "fit_irt": ["parquet", "json"],
        "score_subjects": ["parquet"],
        "select_items": ["parquet", "json"],
        "fit_readout": ["parquet", "json"],
        "draw_baseline": ["parquet", "json"],
    }
    files = [
        f"{RUN}/{stage}/{benchmark}.{suffix}"
        for stage, suffixes in stages.items()
        for suffix in suffixes
        for benchmark in BENCHMARKS
    ]
    files += [f"{RUN}/compare_engines/{benchmark}.json" for benchmark in REFERENCE]
    files += [
        f"{RUN}/simulate_population/{benchmark}.{truth}.parquet"
        for benchmark in SIMULATED
        for truth in ("parameters", "abilities")
    ]
    files += [f"{RUN}/build_responses/{benchmark}.subjects.parquet" for benchmark in BENCHMARKS]
    files += [f"{RUN}/score_forms/{benchmark}.parquet" for benchmark in BENCHMARKS]
    files += [
        f"{RUN}/assess_readout/test.{suffix}" for suffix in ("parquet", "features.parquet", "json")
    ]
    files += [
        f"{RUN}/search_selection/{b}.{suffix}" for b in SEARCH for suffix in ("parquet", "json")
    ]
    files += [f"{RUN}/thin_items/{b}.json" for b in THINNED]
    files += [f"{RUN}/simulate_cat/{b}.study.parquet" for b in ADAPTIVE]
    if FACTORS:
        files += [f"{RUN}/analyze_factors/factors.{suffix}" for suffix in ("parquet", "json")]
    files += [f"{RUN}/follow_run/{name}.parquet" for name in HELD_OUT]
    files += [f"{RUN}/train_zoo/{name}.json" for name in CONFIG["zoo"]["runs"]]
    return files + [f"{RUN}/split_subjects/splits.parquet", f"{RUN}/split_subjects/splits.json"]
