# From the calibrated pool to a short form and the full scores that it stands for.


rule select_items:
    input:
        parameters=f"{RUN}/fit_irt/{{benchmark}}.parquet",
        abilities=f"{RUN}/score_subjects/{{benchmark}}.parquet",
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("select_items"),
    output:
        selection=f"{RUN}/select_items/{{benchmark}}.parquet",
        information=f"{RUN}/select_items/{{benchmark}}.information.parquet",
        record=f"{RUN}/select_items/{{benchmark}}.json",
    log:
        f"{RUN}/logs/select_items/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/select_items/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    params:
        size=form_size,
        bins=setting("selection", "bins"),
        grid=setting("selection", "grid"),
        random_forms=setting("selection", "random_forms"),
        seed=CONFIG["seed"],
    shell:
        "itemwise select-items --parameters {input.parameters:q} --abilities {input.abilities:q}"
        " --splits {input.splits:q} --benchmark {wildcards.benchmark} {params.size}"
        " --bins {params.bins} --grid {params.grid} --random-forms {params.random_forms}"
        " --seed {params.seed} --out {output.selection:q}"
        " --out-information {output.information:q} --record {output.record:q} > {log:q} 2>&1"


rule score_forms:
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        parameters=f"{RUN}/fit_irt/{{benchmark}}.parquet",
        selection=f"{RUN}/select_items/{{benchmark}}.parquet",
        code=stage_code("score_subjects"),
    output:
        abilities=f"{RUN}/score_forms/{{benchmark}}.parquet",
    log:
        f"{RUN}/logs/score_forms/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/score_forms/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    threads: 2
    params:
        method=setting("scoring", "method"),
    shell:
        "itemwise score-subjects --responses {input.responses:q}"
        " --parameters {input.parameters:q} --selection {input.selection:q}"
        " --method {params.method} --threads {threads} --out {output.abilities:q} > {log:q} 2>&1"


rule fit_readout:
    input:
        abilities=f"{RUN}/score_forms/{{benchmark}}.parquet",
        selection=f"{RUN}/select_items/{{benchmark}}.parquet",
        full_scores=f"{RUN}/build_responses/{{benchmark}}.full-scores.parquet",
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("fit_readout"),
    output:
        reconstructions=f"{RUN}/fit_readout/{{benchmark}}.parquet",
        record=f"{RUN}/fit_readout/{{benchmark}}.json",
    log:
        f"{RUN}/logs/fit_readout/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/fit_readout/{{benchmark}}.tsv"
    conda:
        "../envs/r.yaml"
    params:
        formula=setting("readout", "formula"),
        level=setting("readout", "level"),
        seed=CONFIG["seed"],
    shell:
        "Rscript --vanilla R/fit_readout.R --abilities {input.abilities:q}"
        " --selection {input.selection:q} --full-scores {input.full_scores:q}"
        " --splits {input.splits:q} --benchmark {wildcards.benchmark}"
        " --formula {params.formula:q} --level {params.level} --seed {params.seed}"
        " --out {output.reconstructions:q} --record {output.record:q} > {log:q} 2>&1"
