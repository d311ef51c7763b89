# From item-wise results to one response matrix a benchmark.


rule simulate_population:
    input:
        code=stage_code("simulate_population"),
    output:
        **results("simulate_population"),
    log:
        log_of("simulate_population"),
    benchmark:
        time_of("simulate_population")
    conda:
        "../envs/python.yaml"
    params:
        number=lambda wildcards: BENCHMARKS.index(wildcards.benchmark),
        population=options_of("simulate"),
        benchmark=options_of("benchmarks", only=["items", "guessing"]),
        seed=CONFIG["seed"],
    shell:
        "itemwise simulate-population --benchmark {wildcards.benchmark} --number {params.number}"
        " {params.population} {params.benchmark} --seed {params.seed} --out {output.responses:q}"
        " --out-parameters {output.parameters:q} --out-abilities {output.abilities:q}"
        " > {log:q} 2>&1"


rule scrape_leaderboard:
    # The manifest (manifest.sqlite) is no output: a killed or failed run goes on from it.
    input:
        code=stage_code("scrape_leaderboard"),
    output:
        shards=directory(expand(result("scrape_leaderboard", "shards"), benchmark=COLLECTED)),
        item_tables=expand(result("scrape_leaderboard", "item_table"), benchmark=COLLECTED),
        subjects=result("scrape_leaderboard", "subjects"),
        manifest=result("scrape_leaderboard", "manifest"),
        collection=result("scrape_leaderboard", "collection"),
        record=result("scrape_leaderboard", "record"),
    log:
        log_of("scrape_leaderboard", "leaderboard"),
    benchmark:
        time_of("scrape_leaderboard", "leaderboard")
    conda:
        "../envs/python.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(1440),
    params:
        benchmarks=as_options({"benchmarks": COLLECTED, "benchmark_of": tasks_of(COLLECTED)}),
        collect=options_of("collect"),
        folder=subpath(output.manifest, parent=True),
    shell:
        "itemwise scrape-leaderboard {params.benchmarks} {params.collect}"
        " --folder {params.folder:q} --record {output.record:q} > {log:q} 2>&1"


rule evaluate_model:
    # One process a language model, so that its memory is free for the next.
    input:
        code=stage_code("evaluate_model"),
    output:
        **results("evaluate_model"),
    log:
        log_of("evaluate_model", "{lm}"),
    benchmark:
        time_of("evaluate_model", "{lm}")
    conda:
        "../envs/evaluate.yaml"
    threads: 2
    resources:
        gpu=CONFIG["evaluate"]["gpus"],
        mem_mb=per_attempt(8000),
        runtime=per_attempt(720),
    params:
        lm=lambda wildcards: as_options(CONFIG["language_models"][wildcards.lm]),
        tasks=as_options(EVALUATED_TASKS),
        evaluate=options_of("evaluate", leave_out=["lms", "gpus"]),
        ledger=f"{RUN}/evaluate_model/ledger",
    shell:
        "itemwise evaluate-model {params.lm} {params.tasks} {params.evaluate}"
        " --ledger {params.ledger:q} --out {output.evaluations:q}"
        " --out-documents {output.documents:q} --record {output.record:q} > {log:q} 2>&1"


rule build_responses:
    input:
        sources=source_paths,
        metadata=metadata_paths,
        code=stage_code("build_responses"),
    output:
        responses=ensure(result("build_responses", "responses"), non_empty=True),
        item_table=result("build_responses", "item_table"),
        subjects=result("build_responses", "subjects"),
        full_scores=result("build_responses", "full_scores"),
        record=result("build_responses", "record"),
    log:
        log_of("build_responses"),
    benchmark:
        time_of("build_responses")
    conda:
        "../envs/python.yaml"
    params:
        benchmark=options_of("benchmarks", only=READING),
        metadata=lambda wildcards: as_options(metadata(wildcards)),
    shell:
        "itemwise build-responses --benchmark {wildcards.benchmark} --sources {input.sources:q}"
        " {params.benchmark} {params.metadata} --out {output.responses:q} --out-items {output.item_table:q}"
        " --out-subjects {output.subjects:q} --out-full-scores {output.full_scores:q}"
        " --record {output.record:q} > {log:q} 2>&1"
