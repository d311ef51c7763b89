# From item-wise results to one response matrix a benchmark.


rule simulate_population:
    input:
        code=stage_code("simulate_population"),
    output:
        responses=f"{RUN}/simulate_population/{{benchmark}}.parquet",
        parameters=f"{RUN}/simulate_population/{{benchmark}}.parameters.parquet",
        abilities=f"{RUN}/simulate_population/{{benchmark}}.abilities.parquet",
    log:
        f"{RUN}/logs/simulate_population/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/simulate_population/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        number=lambda wildcards: BENCHMARKS.index(wildcards.benchmark),
        subjects=CONFIG["simulate"].get("subjects"),
        missing=CONFIG["simulate"].get("missing"),
        n_items=setting("items"),
        guessing=setting("guessing"),
        seed=CONFIG["seed"],
    shell:
        "itemwise simulate-population --benchmark {wildcards.benchmark} --number {params.number}"
        " --n-subjects {params.subjects} --n-items {params.n_items} --guessing {params.guessing}"
        " --missing {params.missing} --seed {params.seed} --out {output.responses:q}"
        " --out-parameters {output.parameters:q} --out-abilities {output.abilities:q}"
        " > {log:q} 2>&1"


rule scrape_leaderboard:
    # The manifest (manifest.sqlite) is no output: a killed or failed run goes on from it.
    input:
        code=stage_code("scrape_leaderboard"),
    output:
        shards=[directory(f"{RUN}/scrape_leaderboard/{b}") for b in COLLECTED],
        item_tables=[f"{RUN}/scrape_leaderboard/{b}.items.parquet" for b in COLLECTED],
        subjects=f"{RUN}/scrape_leaderboard/subjects.parquet",
        manifest=f"{RUN}/scrape_leaderboard/manifest.parquet",
        collection=f"{RUN}/scrape_leaderboard/collection.parquet",
        record=f"{RUN}/scrape_leaderboard/collection.json",
    log:
        f"{RUN}/logs/scrape_leaderboard/leaderboard.log",
    benchmark:
        f"{RUN}/benchmarks/scrape_leaderboard/leaderboard.tsv"
    conda:
        "../envs/python.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(1440),
    params:
        benchmarks=option_list("benchmarks", COLLECTED),
        settings=collection_settings(),
        folder=lambda wildcards, output: Path(output.manifest).parent,
    shell:
        "itemwise scrape-leaderboard {params.benchmarks} {params.settings}"
        " --folder {params.folder:q} --record {output.record:q} > {log:q} 2>&1"


rule evaluate_model:
    # One process a language model, so that its memory is free for the next.
    input:
        code=stage_code("evaluate_model"),
    output:
        evaluations=f"{RUN}/evaluate_model/{{lm}}.parquet",
        documents=f"{RUN}/evaluate_model/{{lm}}.documents.parquet",
        record=f"{RUN}/evaluate_model/{{lm}}.json",
    log:
        f"{RUN}/logs/evaluate_model/{{lm}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_model/{{lm}}.tsv"
    conda:
        "../envs/evaluate.yaml"
    threads: 2
    resources:
        gpu=CONFIG["evaluate"]["gpus"],
        mem_mb=growing(8000),
        runtime=growing(720),
    params:
        lm=language_model,
        tasks=[task for b in EVALUATED for task in CONFIG["benchmarks"][b]["tasks"]],
        benchmarks=benchmark_of_tasks(),
        settings=evaluation_settings(),
        ledger=f"{RUN}/evaluate_model/ledger",
    shell:
        "itemwise evaluate-model {params.lm} --tasks {params.tasks} {params.benchmarks}"
        " {params.settings} --ledger {params.ledger:q} --out {output.evaluations:q}"
        " --out-documents {output.documents:q} --record {output.record:q} > {log:q} 2>&1"


rule build_responses:
    input:
        sources=source_paths,
        metadata=metadata_paths,
        code=stage_code("build_responses"),
    output:
        responses=ensure(f"{RUN}/build_responses/{{benchmark}}.parquet", non_empty=True),
        item_table=f"{RUN}/build_responses/{{benchmark}}.items.parquet",
        subjects=f"{RUN}/build_responses/{{benchmark}}.subjects.parquet",
        full_scores=f"{RUN}/build_responses/{{benchmark}}.full-scores.parquet",
        record=f"{RUN}/build_responses/{{benchmark}}.json",
    log:
        f"{RUN}/logs/build_responses/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/build_responses/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        select=lambda wildcards: option_list("select", setting("select")(wildcards)),
        metric=option("metric", "metric"),
        filter=option("filter", "filter"),
        binarize=option("binarize", "binarize"),
        full_scores=option("full-scores", "full_scores"),
        item_metadata=lambda wildcards: option_text("item-metadata", item_metadata(wildcards)),
        subject_metadata=lambda wildcards: option_list(
            "subject-metadata", subject_metadata(wildcards)
        ),
        coverage=setting("coverage"),
        left_out=build_options,
    shell:
        "itemwise build-responses --benchmark {wildcards.benchmark} --sources {input.sources:q}"
        " {params.select} {params.metric} {params.filter} {params.binarize} {params.full_scores}"
        " {params.item_metadata} {params.subject_metadata} --coverage {params.coverage}"
        " {params.left_out}"
        " --out {output.responses:q} --out-items {output.item_table:q}"
        " --out-subjects {output.subjects:q} --out-full-scores {output.full_scores:q}"
        " --record {output.record:q} > {log:q} 2>&1"
