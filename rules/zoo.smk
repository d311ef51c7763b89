# Tiny language models of a made-up world, from training to what is said of held-out runs.


rule write_suite:
    input:
        code=stage_code("write_suite"),
    output:
        suite=directory(f"{RUN}/write_suite/tasks"),
    log:
        f"{RUN}/logs/write_suite/tasks.log",
    benchmark:
        f"{RUN}/benchmarks/write_suite/tasks.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        n_items=CONFIG["zoo"]["items"],
        seed=CONFIG["seed"],
    shell:
        "itemwise write-suite --n-items {params.n_items} --seed {params.seed} --out {output.suite:q}"
        " > {log:q} 2>&1"


rule train_zoo:
    # All runs in one job, since starting Python takes as long as training one. The
    # checkpoints are no output: Snakemake would remove them before a restart.
    input:
        code=stage_code("train_zoo"),
    output:
        subjects=expand(f"{RUN}/train_zoo/{{run}}.parquet", run=CONFIG["zoo"]["runs"]),
        records=expand(f"{RUN}/train_zoo/{{run}}.json", run=CONFIG["zoo"]["runs"]),
    log:
        f"{RUN}/logs/train_zoo/zoo.log",
    benchmark:
        f"{RUN}/benchmarks/train_zoo/zoo.tsv"
    conda:
        "../envs/evaluate.yaml"
    threads: side_by_side()
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        runs=training_runs(),
        lines=CONFIG["zoo"]["lines"],
        steps=CONFIG["zoo"]["checkpoints"],
        folder=lambda wildcards, output: Path(output.subjects[0]).parent,
        seed=CONFIG["seed"],
    shell:
        "itemwise train-zoo --runs {params.runs:q} --lines {params.lines} --steps {params.steps}"
        " --world-seed {params.seed} --threads {threads} --out {params.folder:q} > {log:q} 2>&1"


rule evaluate_run:
    # Those of all runs in one job, as they are trained.
    input:
        subjects=expand(f"{RUN}/train_zoo/{{run}}.parquet", run=CONFIG["zoo"]["runs"]),
        suite=SUITE,
        code=stage_code("evaluate_run"),
    output:
        evaluations=expand(f"{RUN}/evaluate_run/{{run}}.parquet", run=CONFIG["zoo"]["runs"]),
        documents=f"{RUN}/evaluate_run/zoo.documents.parquet",
        records=expand(f"{RUN}/evaluate_run/{{run}}.json", run=CONFIG["zoo"]["runs"]),
    log:
        f"{RUN}/logs/evaluate_run/zoo.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_run/zoo.tsv"
    conda:
        "../envs/evaluate.yaml"
    threads: 1 if CONFIG["evaluate"]["gpus"] else side_by_side()
    resources:
        gpu=CONFIG["evaluate"]["gpus"],
        mem_mb=growing(16000),
        runtime=growing(720),
    params:
        lms=evaluated_runs(),
        tasks=[task for b in EVALUATED for task in CONFIG["benchmarks"][b]["tasks"]],
        benchmarks=benchmark_of_tasks(),
        settings=evaluation_settings(),
        ledger=f"{RUN}/evaluate_run/ledger",
    shell:
        "itemwise evaluate-run {params.lms} --tasks {params.tasks} {params.benchmarks}"
        " --include-path {input.suite:q} {params.settings} --threads {threads}"
        " --ledger {params.ledger:q} --out {output.evaluations:q}"
        " --out-documents {output.documents:q} --record {output.records:q} > {log:q} 2>&1"


rule score_model:
    # The short form alone, from the answers to the full suite: the prompts are the same.
    input:
        evaluations=f"{RUN}/evaluate_run/{{training_run}}.parquet",
        bank=f"{RUN}/bank",
        code=stage_code("score_model"),
    output:
        scores=f"{RUN}/score_model/{{training_run}}.parquet",
    log:
        f"{RUN}/logs/score_model/{{training_run}}.log",
    benchmark:
        f"{RUN}/benchmarks/score_model/{{training_run}}.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    shell:
        "itemwise score-model --bank {input.bank:q} --results {input.evaluations:q}"
        " --out {output.scores:q} > {log:q} 2>&1"


rule adapt_checkpoints:
    # Asks the models themselves, with a ledger of its own: nothing is looked up.
    input:
        subjects=f"{RUN}/train_zoo/{{training_run}}.parquet",
        suite=SUITE,
        bank=f"{RUN}/bank",
        code=stage_code("adapt_checkpoints"),
    output:
        scores=f"{RUN}/adapt_checkpoints/{{training_run}}.parquet",
        measures=f"{RUN}/adapt_checkpoints/{{training_run}}.measures.parquet",
        record=f"{RUN}/adapt_checkpoints/{{training_run}}.json",
    log:
        f"{RUN}/logs/adapt_checkpoints/{{training_run}}.log",
    benchmark:
        f"{RUN}/benchmarks/adapt_checkpoints/{{training_run}}.tsv"
    conda:
        "../envs/evaluate.yaml"
    resources:
        gpu=CONFIG["evaluate"]["gpus"],
        mem_mb=growing(8000),
        runtime=growing(720),
    params:
        lms=lambda wildcards: checkpoints(wildcards.training_run),
        rule=CONFIG["zoo"]["rule"],
        settings=loading_settings(),
        ledger=f"{RUN}/adapt_checkpoints/ledger",
        traces=f"{RUN}/adapt_checkpoints/traces",
        seed=CONFIG["seed"],
    shell:
        "itemwise adapt-checkpoints --bank {input.bank:q} --lms {params.lms:q}"
        " --include-path {input.suite:q} {params.settings} --rule {params.rule:q}"
        " --ledger {params.ledger:q} --traces {params.traces:q} --seed {params.seed}"
        " --out {output.scores:q} --out-measures {output.measures:q} --record {output.record:q}"
        " > {log:q} 2>&1"


rule follow_run:
    input:
        subjects=f"{RUN}/train_zoo/{{training_run}}.parquet",
        evaluations=f"{RUN}/evaluate_run/{{training_run}}.parquet",
        form_scores=f"{RUN}/score_model/{{training_run}}.parquet",
        adaptive_scores=f"{RUN}/adapt_checkpoints/{{training_run}}.parquet",
        bank=f"{RUN}/bank",
        code=stage_code("follow_run"),
    output:
        followed=f"{RUN}/follow_run/{{training_run}}.parquet",
    log:
        f"{RUN}/logs/follow_run/{{training_run}}.log",
    benchmark:
        f"{RUN}/benchmarks/follow_run/{{training_run}}.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    shell:
        "itemwise follow-run --bank {input.bank:q} --subjects {input.subjects:q}"
        " --evaluations {input.evaluations:q} --form-scores {input.form_scores:q}"
        " --adaptive-scores {input.adaptive_scores:q} --out {output.followed:q} > {log:q} 2>&1"
