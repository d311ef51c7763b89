# From responses to item parameters and abilities.


rule split_subjects:
    input:
        subjects=expand(f"{RUN}/build_responses/{{b}}.subjects.parquet", b=BENCHMARKS),
        full_scores=expand(f"{RUN}/build_responses/{{b}}.full-scores.parquet", b=BENCHMARKS),
        code=stage_code("split_subjects"),
    output:
        splits=f"{RUN}/split_subjects/splits.parquet",
        record=f"{RUN}/split_subjects/splits.json",
    log:
        f"{RUN}/logs/split_subjects/splits.log",
    benchmark:
        f"{RUN}/benchmarks/split_subjects/splits.tsv"
    conda:
        "../envs/r.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        subjects=lambda wildcards, input: ",".join(input.subjects),
        full_scores=lambda wildcards, input: ",".join(input.full_scores),
        method=CONFIG["split"]["method"],
        test=CONFIG["split"]["test"],
        validation=CONFIG["split"]["validation"],
        folds=CONFIG["split"]["folds"],
        strata=CONFIG["split"]["strata"],
        test_from=CONFIG["split"]["test_from"],
        seed=CONFIG["seed"],
    shell:
        f"Rscript --vanilla {R_STAGES}/split_subjects.R"
        " --subjects {params.subjects:q}"
        " --full-scores {params.full_scores:q} --method {params.method} --test {params.test}"
        " --validation {params.validation} --folds {params.folds} --strata {params.strata}"
        " --test-from {params.test_from} --seed {params.seed} --out {output.splits:q} --record {output.record:q} > {log:q} 2>&1"


rule screen_items:
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        item_table=f"{RUN}/build_responses/{{benchmark}}.items.parquet",
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("screen_items"),
    output:
        item_table=f"{RUN}/screen_items/{{benchmark}}.parquet",
        record=f"{RUN}/screen_items/{{benchmark}}.json",
    log:
        f"{RUN}/logs/screen_items/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/screen_items/{{benchmark}}.tsv"
    conda:
        "../envs/r.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        min_sd=setting("screening", "min_sd"),
        max_mean=setting("screening", "max_mean"),
        min_item_total=setting("screening", "min_item_total"),
        discrimination=setting("screening", "discrimination"),
    shell:
        f"Rscript --vanilla {R_STAGES}/screen_items.R"
        " --responses {input.responses:q}"
        " --items {input.item_table:q} --splits {input.splits:q} --min-sd {params.min_sd}"
        " --max-mean {params.max_mean} --min-item-total {params.min_item_total}"
        " --discrimination {params.discrimination}"
        " --out {output.item_table:q} --record {output.record:q} > {log:q} 2>&1"


rule thin_items:
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        item_table=f"{RUN}/screen_items/{{benchmark}}.parquet",
        splits=f"{RUN}/split_subjects/splits.parquet",
        full_scores=f"{RUN}/build_responses/{{benchmark}}.full-scores.parquet",
        code=stage_code("thin_items"),
    output:
        item_table=f"{RUN}/thin_items/{{benchmark}}.parquet",
        record=f"{RUN}/thin_items/{{benchmark}}.json",
    log:
        f"{RUN}/logs/thin_items/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/thin_items/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        size=setting("thinning", "items"),
        draws=setting("thinning", "draws"),
        seed=CONFIG["seed"],
    shell:
        "itemwise thin-items --responses {input.responses:q} --items {input.item_table:q}"
        " --splits {input.splits:q} --full-scores {input.full_scores:q}"
        " --benchmark {wildcards.benchmark} --size {params.size} --draws {params.draws}"
        " --seed {params.seed} --out {output.item_table:q} --record {output.record:q}"
        " > {log:q} 2>&1"


rule check_budget:
    # Goes before calibration by priority, not as its input: another budget must not calibrate
    # again. (As an `ancient` input it would hide changed settings of later rules from Snakemake.)
    input:
        item_table=calibrated_items,
        all_items=expand(f"{RUN}/build_responses/{{b}}.items.parquet", b=BENCHMARKS),
        code=stage_code("check_budget"),
    output:
        record=f"{RUN}/check_budget/{{benchmark}}.json",
    log:
        f"{RUN}/logs/check_budget/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/check_budget/{{benchmark}}.tsv"
    priority: 1
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        size=form_size,
        forms=setting("selection", "forms"),
    shell:
        "itemwise check-budget --benchmark {wildcards.benchmark} --items {input.item_table:q}"
        " {params.size} --forms {params.forms} --all-items {input.all_items:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule fit_irt:
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        item_table=calibrated_items,
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=fit_code,
    output:
        parameters=f"{RUN}/fit_irt/{{benchmark}}.parquet",
        record=f"{RUN}/fit_irt/{{benchmark}}.json",
    log:
        f"{RUN}/logs/fit_irt/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/fit_irt/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    threads: cores_each()
    resources:
        mem_mb=growing(6000),
        runtime=growing(120),
    params:
        engine=setting("irt", "engine"),
        model=setting("irt", "model"),
        prior=option("prior", "irt", "prior"),
        quadrature=option("quadrature", "irt", "quadrature"),
        unconverged=flag("allow-unconverged", "irt", "allow_unconverged"),
        seed=CONFIG["seed"],
    shell:
        "itemwise fit-irt --responses {input.responses:q} --items {input.item_table:q}"
        " --splits {input.splits:q} --engine {params.engine} --model {params.model}"
        " {params.prior} {params.quadrature} {params.unconverged} --seed {params.seed}"
        " --threads {threads} --out {output.parameters:q} --record {output.record:q}"
        " > {log:q} 2>&1"


rule fit_folds:
    # Read-outs and adaptive tests learn from training models; these are scored by items that
    # they did not help to calibrate.
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        parameters=f"{RUN}/fit_irt/{{benchmark}}.parquet",
        fit_record=f"{RUN}/fit_irt/{{benchmark}}.json",
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("fit_folds"),
    output:
        parameters=f"{RUN}/fit_folds/{{benchmark}}.parquet",
        record=f"{RUN}/fit_folds/{{benchmark}}.json",
    log:
        f"{RUN}/logs/fit_folds/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/fit_folds/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    threads: cores_each()
    resources:
        mem_mb=growing(6000),
        runtime=growing(120),
    shell:
        "itemwise fit-folds --responses {input.responses:q} --parameters {input.parameters:q}"
        " --fit {input.fit_record:q} --splits {input.splits:q}"
        " --threads {threads} --out {output.parameters:q} --record {output.record:q}"
        " > {log:q} 2>&1"


rule score_subjects:
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        parameters=f"{RUN}/fit_irt/{{benchmark}}.parquet",
        code=stage_code("score_subjects"),
    output:
        abilities=f"{RUN}/score_subjects/{{benchmark}}.parquet",
    log:
        f"{RUN}/logs/score_subjects/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/score_subjects/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    threads: cores_each()
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        method=setting("scoring", "method"),
    shell:
        "itemwise score-subjects --responses {input.responses:q}"
        " --parameters {input.parameters:q} --method {params.method} --threads {threads}"
        " --out {output.abilities:q} > {log:q} 2>&1"


rule fit_irt_mirt:
    # The reference engine on the same data. R fits one item set at a time, slowly.
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        item_table=calibrated_items,
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("fit_irt", "R"),
    output:
        parameters=f"{RUN}/fit_irt/{{benchmark}}.mirt.parquet",
        record=f"{RUN}/fit_irt/{{benchmark}}.mirt.json",
    log:
        f"{RUN}/logs/fit_irt/{{benchmark}}.mirt.log",
    benchmark:
        f"{RUN}/benchmarks/fit_irt/{{benchmark}}.mirt.tsv"
    conda:
        "../envs/r.yaml"
    resources:
        mem_mb=growing(6000),
        runtime=growing(600),
    params:
        model=setting("irt", "model"),
        prior=option("prior", "irt", "prior"),
        quadrature=option("quadrature", "irt", "quadrature"),
        seed=CONFIG["seed"],
    shell:
        f"Rscript --vanilla {R_STAGES}/fit_irt.R"
        " --responses {input.responses:q}"
        " --items {input.item_table:q} --splits {input.splits:q} --model {params.model}"
        " {params.prior} {params.quadrature} --allow-unconverged --seed {params.seed}"
        " --out {output.parameters:q} --record {output.record:q} > {log:q} 2>&1"


rule compare_engines:
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        parameters=f"{RUN}/fit_irt/{{benchmark}}.parquet",
        record=f"{RUN}/fit_irt/{{benchmark}}.json",
        reference=f"{RUN}/fit_irt/{{benchmark}}.mirt.parquet",
        reference_record=f"{RUN}/fit_irt/{{benchmark}}.mirt.json",
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("compare_engines"),
    output:
        record=f"{RUN}/compare_engines/{{benchmark}}.json",
    log:
        f"{RUN}/logs/compare_engines/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/compare_engines/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    shell:
        "itemwise compare-engines --responses {input.responses:q} --splits {input.splits:q}"
        " --parameters {input.parameters:q} --fit {input.record:q}"
        " --reference {input.reference:q} --reference-fit {input.reference_record:q}"
        " --out {output.record:q} > {log:q} 2>&1"
