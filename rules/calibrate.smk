# From responses to item parameters and abilities.


rule split_subjects:
    input:
        subjects=of_each("build_responses", "subjects"),
        full_scores=of_each("build_responses", "full_scores"),
        code=stage_code("split_subjects"),
    output:
        **results("split_subjects"),
    log:
        log_of("split_subjects", "splits"),
    benchmark:
        time_of("split_subjects", "splits")
    conda:
        "../envs/r.yaml"
    params:
        subjects=lambda wildcards, input: ",".join(input.subjects),
        full_scores=lambda wildcards, input: ",".join(input.full_scores),
        split=options_of("split"),
        seed=CONFIG["seed"],
    shell:
        f"Rscript --vanilla {R_STAGES}/split_subjects.R"
        " --subjects {params.subjects:q}"
        " --full-scores {params.full_scores:q} {params.split} --seed {params.seed}"
        " --out {output.splits:q} --record {output.record:q} > {log:q} 2>&1"


rule cut_sets:
    # The wall: test models are in `test/` from here on, and what chooses reads training tables.
    input:
        responses=of_each("build_responses", "responses"),
        full_scores=of_each("build_responses", "full_scores"),
        splits=result("split_subjects", "splits"),
        code=stage_code("cut_sets"),
    output:
        training=of_each("cut_sets", "training"),
        test=of_each("cut_sets", "test"),
    log:
        log_of("cut_sets", "sets"),
    benchmark:
        time_of("cut_sets", "sets")
    conda:
        "../envs/python.yaml"
    params:
        benchmarks=BENCHMARKS,
    shell:
        "itemwise cut-sets --benchmarks {params.benchmarks} --responses {input.responses:q}"
        " --splits {input.splits:q} --full-scores {input.full_scores:q}"
        " --out-training {output.training:q} --out-test {output.test:q} > {log:q} 2>&1"


rule screen_items:
    input:
        training=result("cut_sets", "training"),
        item_table=result("build_responses", "item_table"),
        code=stage_code("screen_items"),
    output:
        **results("screen_items"),
    log:
        log_of("screen_items"),
    benchmark:
        time_of("screen_items")
    conda:
        "../envs/r.yaml"
    params:
        screening=options_of("screening"),
    shell:
        f"Rscript --vanilla {R_STAGES}/screen_items.R"
        " --training {input.training:q} --items {input.item_table:q} {params.screening}"
        " --out {output.item_table:q} --out-training {output.training:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule preselect_items:
    input:
        training=result("screen_items", "training"),
        item_table=result("screen_items", "item_table"),
        code=stage_code("preselect_items"),
    output:
        **results("preselect_items"),
    log:
        log_of("preselect_items"),
    benchmark:
        time_of("preselect_items")
    conda:
        "../envs/python.yaml"
    params:
        preselection=options_of("preselection"),
        seed=CONFIG["seed"],
    shell:
        "itemwise preselect-items --training {input.training:q} --items {input.item_table:q}"
        " --benchmark {wildcards.benchmark} {params.preselection} --seed {params.seed}"
        " --out {output.item_table:q} --out-training {output.training:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule check_budget:
    # Goes before calibration by priority, not as its input: another budget must not calibrate
    # again. (As an `ancient` input it would hide changed settings of later rules from Snakemake.)
    input:
        item_table=calibrated_of_each("item_table"),
        code=stage_code("check_budget"),
    output:
        **results("check_budget"),
    log:
        log_of("check_budget", "budgets"),
    benchmark:
        time_of("check_budget", "budgets")
    priority: 1
    localrule: True
    conda:
        "../envs/python.yaml"
    params:
        benchmarks=BENCHMARKS,
        asked=as_options(budgets()),
    shell:
        "itemwise check-budget --benchmarks {params.benchmarks} --items {input.item_table:q}"
        " {params.asked} --record {output.record:q} > {log:q} 2>&1"


rule fit_irt:
    input:
        training=calibrated("training"),
        code=fit_code,
    output:
        **results("fit_irt", ["parameters", "record"]),
    log:
        log_of("fit_irt"),
    benchmark:
        time_of("fit_irt")
    conda:
        "../envs/python.yaml"
    threads: cores_each()
    resources:
        mem_mb=per_attempt(6000),
        runtime=per_attempt(120),
    params:
        irt=options_of("irt", leave_out=["reference"]),
        seed=CONFIG["seed"],
    shell:
        "itemwise fit-irt --responses {input.training:q}"
        " {params.irt} --seed {params.seed} --threads {threads}"
        " --out {output.parameters:q} --record {output.record:q} > {log:q} 2>&1"


rule fit_folds:
    # Read-outs and adaptive tests learn from training models; these are scored by items that
    # they did not help to calibrate.
    input:
        training=calibrated("training"),
        parameters=result("fit_irt", "parameters"),
        fit_record=result("fit_irt", "record"),
        code=stage_code("fit_folds"),
    output:
        **results("fit_folds"),
    log:
        log_of("fit_folds"),
    benchmark:
        time_of("fit_folds")
    conda:
        "../envs/python.yaml"
    threads: cores_each()
    resources:
        mem_mb=per_attempt(6000),
        runtime=per_attempt(120),
    shell:
        "itemwise fit-folds --training {input.training:q} --parameters {input.parameters:q}"
        " --fit {input.fit_record:q}"
        " --threads {threads} --out {output.parameters:q} --record {output.record:q}"
        " > {log:q} 2>&1"


rule score_subjects:
    input:
        training=calibrated("training"),
        parameters=result("fit_irt", "parameters"),
        code=stage_code("score_subjects"),
    output:
        **results("score_subjects"),
    log:
        log_of("score_subjects"),
    benchmark:
        time_of("score_subjects")
    conda:
        "../envs/python.yaml"
    threads: cores_each()
    params:
        scoring=options_of("scoring"),
    shell:
        "itemwise score-subjects --responses {input.training:q}"
        " --parameters {input.parameters:q} {params.scoring} --threads {threads}"
        " --out {output.abilities:q} > {log:q} 2>&1"


rule fit_irt_mirt:
    # The reference engine on the same data. R fits one item set at a time, slowly.
    input:
        training=calibrated("training"),
        # mirt cannot estimate a prior: it takes the native fit's.
        native_record=result("fit_irt", "record"),
        code=stage_code("fit_irt", "R"),
    output:
        parameters=result("fit_irt", "reference"),
        record=result("fit_irt", "reference_record"),
    log:
        log_of("fit_irt", "{benchmark}.mirt"),
    benchmark:
        time_of("fit_irt", "{benchmark}.mirt")
    conda:
        "../envs/r.yaml"
    resources:
        mem_mb=per_attempt(6000),
        runtime=per_attempt(600),
    params:
        irt=options_of("irt", only=["model", "quadrature"]),
        seed=CONFIG["seed"],
    shell:
        f"Rscript --vanilla {R_STAGES}/fit_irt.R"
        " --responses {input.training:q} {params.irt}"
        " --prior-of {input.native_record:q} --allow-unconverged --seed {params.seed}"
        " --out {output.parameters:q} --record {output.record:q} > {log:q} 2>&1"


rule compare_engines:
    input:
        training=calibrated("training"),
        parameters=result("fit_irt", "parameters"),
        record=result("fit_irt", "record"),
        reference=result("fit_irt", "reference"),
        reference_record=result("fit_irt", "reference_record"),
        code=stage_code("compare_engines"),
    output:
        **results("compare_engines"),
    log:
        log_of("compare_engines"),
    benchmark:
        time_of("compare_engines")
    conda:
        "../envs/python.yaml"
    shell:
        "itemwise compare-engines --responses {input.training:q}"
        " --parameters {input.parameters:q} --fit {input.record:q}"
        " --reference {input.reference:q} --reference-fit {input.reference_record:q}"
        " --out {output.record:q} > {log:q} 2>&1"
