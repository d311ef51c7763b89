# Tiny language models of a made-up world, from training to what is said of held-out runs.


rule write_tiny_tasks:
    input:
        code=stage_code("write_tiny_tasks"),
    output:
        tasks=directory(result("write_tiny_tasks", "tasks")),
    log:
        log_of("write_tiny_tasks", "tasks"),
    benchmark:
        time_of("write_tiny_tasks", "tasks")
    conda:
        "../envs/python.yaml"
    params:
        options=options_of("tiny_models", only=["items"]),
        seed=CONFIG["seed"],
    shell:
        "itemwise write-tiny-tasks {params.options} --seed {params.seed} --out {output.tasks:q}"
        " > {log:q} 2>&1"


rule train_tiny_models:
    # All runs in one job, since starting Python takes as long as training one. The
    # checkpoints are no output: Snakemake would remove them before a restart.
    input:
        code=stage_code("train_tiny_models"),
    output:
        subjects=of_each_run("train_tiny_models", "subjects"),
        records=of_each_run("train_tiny_models", "record"),
    log:
        log_of("train_tiny_models", "all"),
    benchmark:
        time_of("train_tiny_models", "all")
    conda:
        "../envs/evaluate.yaml"
    threads: side_by_side()
    resources:
        mem_mb=per_attempt(8000),
        runtime=per_attempt(240),
    params:
        runs=training_runs(),
        options=options_of("tiny_models", only=["lines", "checkpoints"]),
        folder=lambda wildcards, output: Path(output.subjects[0]).parent,
        seed=CONFIG["seed"],
    shell:
        "itemwise train-tiny-models --runs {params.runs:q} {params.options}"
        " --world-seed {params.seed} --threads {threads} --out {params.folder:q} > {log:q} 2>&1"


rule evaluate_run:
    # Those of all runs in one job, as they are trained.
    input:
        subjects=of_each_run("train_tiny_models", "subjects"),
        tasks=result("write_tiny_tasks", "tasks"),
        code=stage_code("evaluate_run"),
    output:
        evaluations=of_each_run("evaluate_run", "evaluations"),
        documents=result("evaluate_run", "documents"),
        records=of_each_run("evaluate_run", "record"),
    log:
        log_of("evaluate_run", "all"),
    benchmark:
        time_of("evaluate_run", "all")
    conda:
        "../envs/evaluate.yaml"
    threads: 1 if CONFIG["evaluate"]["gpus"] else side_by_side()
    resources:
        gpu=CONFIG["evaluate"]["gpus"],
        mem_mb=per_attempt(16000),
        runtime=per_attempt(720),
    params:
        lms=" ".join(as_options({"lms": checkpoints(run)}) for run in TINY_RUNS),
        tasks=as_options(EVALUATED_TASKS),
        evaluate=options_of("evaluate", leave_out=["lms", "gpus", "include_path"]),
        ledger=f"{RUN}/evaluate_run/ledger",
    shell:
        "itemwise evaluate-run {params.lms} {params.tasks} {params.evaluate}"
        " --include-path {input.tasks:q} --threads {threads}"
        " --ledger {params.ledger:q} --out {output.evaluations:q}"
        " --out-documents {output.documents:q} --record {output.records:q} > {log:q} 2>&1"


rule score_model:
    # The short form alone, from the answers to the full suite: the prompts are the same.
    input:
        evaluations=result("evaluate_run", "evaluations"),
        bank=BANK,
        code=stage_code("score_model"),
    output:
        **results("score_model"),
    log:
        log_of("score_model", "{training_run}"),
    benchmark:
        time_of("score_model", "{training_run}")
    conda:
        "../envs/python.yaml"
    shell:
        "itemwise score-model --bank {input.bank:q} --results {input.evaluations:q}"
        " --out {output.scores:q} > {log:q} 2>&1"


rule adapt_checkpoints:
    # Asks the models themselves, with a ledger of its own: nothing is looked up.
    input:
        subjects=result("train_tiny_models", "subjects"),
        tasks=result("write_tiny_tasks", "tasks"),
        bank=BANK,
        code=stage_code("adapt_checkpoints"),
    output:
        scores=result("adapt_checkpoints", "scores"),
        measures=result("adapt_checkpoints", "measures"),
        record=result("adapt_checkpoints", "record"),
    log:
        log_of("adapt_checkpoints", "{training_run}"),
    benchmark:
        time_of("adapt_checkpoints", "{training_run}")
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=CONFIG["evaluate"]["gpus"],
        mem_mb=per_attempt(8000),
        runtime=per_attempt(720),
    params:
        lms=lambda wildcards: checkpoints(wildcards.training_run),
        rule=options_of("tiny_models", only=["rule"]),
        evaluate=options_of("evaluate", only=LOADING),
        ledger=f"{RUN}/adapt_checkpoints/ledger",
        traces=f"{RUN}/adapt_checkpoints/traces",
        seed=CONFIG["seed"],
    shell:
        "itemwise adapt-checkpoints --bank {input.bank:q} --lms {params.lms:q}"
        " --include-path {input.tasks:q} {params.evaluate} {params.rule}"
        " --ledger {params.ledger:q} --traces {params.traces:q} --seed {params.seed}"
        " --out {output.scores:q} --out-measures {output.measures:q} --record {output.record:q}"
        " > {log:q} 2>&1"


rule follow_run:
    input:
        subjects=result("train_tiny_models", "subjects"),
        evaluations=result("evaluate_run", "evaluations"),
        form_scores=result("score_model", "scores"),
        adaptive_scores=result("adapt_checkpoints", "scores"),
        bank=BANK,
        code=stage_code("follow_run"),
    output:
        **results("follow_run"),
    log:
        log_of("follow_run", "{training_run}"),
    benchmark:
        time_of("follow_run", "{training_run}")
    conda:
        "../envs/python.yaml"
    shell:
        "itemwise follow-run --bank {input.bank:q} --subjects {input.subjects:q}"
        " --evaluations {input.evaluations:q} --form-scores {input.form_scores:q}"
        " --adaptive-scores {input.adaptive_scores:q} --out {output.run_measures:q} > {log:q} 2>&1"
