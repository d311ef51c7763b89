# From the calibrated pool to short forms, what chance and adaptive tests reach, and the bank.


rule search_selection:
    # The journal is no output: Snakemake would remove it before a restart.
    input:
        training=calibrated("training"),
        item_table=calibrated("item_table"),
        enough=result("check_budget", "record"),
        code=stage_code("search_selection"),
    output:
        **results("search_selection"),
    log:
        log_of("search_selection"),
    benchmark:
        time_of("search_selection")
    conda:
        "../envs/python.yaml"
    threads: cores_each()
    resources:
        mem_mb=per_attempt(6000),
        runtime=per_attempt(600),
    params:
        search=options_of("search"),
        selection=options_of("selection", only=["budget", "penalty", "balance"]),
        journal=subpath(output.trials, strip_suffix=".parquet", with_suffix=".journal.jsonl"),
        seed=CONFIG["seed"],
    shell:
        "itemwise search-selection --training {input.training:q} --items {input.item_table:q}"
        " --benchmark {wildcards.benchmark} {params.search} {params.selection}"
        " --journal {params.journal:q}"
        " --seed {params.seed} --threads {threads} --out {output.trials:q}"
        " --out-settings {output.settings:q} --record {output.record:q} > {log:q} 2>&1"


rule select_items:
    input:
        parameters=result("fit_irt", "parameters"),
        abilities=result("score_subjects", "abilities"),
        training=calibrated("training"),
        item_table=calibrated("item_table"),
        enough=result("check_budget", "record"),
        code=stage_code("select_items"),
    output:
        **results("select_items"),
    log:
        log_of("select_items"),
    benchmark:
        time_of("select_items")
    conda:
        "../envs/python.yaml"
    params:
        selection=options_of("selection", leave_out=["draws"]),
        seed=CONFIG["seed"],
    shell:
        "itemwise select-items --parameters {input.parameters:q} --abilities {input.abilities:q}"
        " --training {input.training:q} --items {input.item_table:q}"
        " --benchmark {wildcards.benchmark} {params.selection}"
        " --seed {params.seed} --out {output.selection:q}"
        " --out-information {output.information:q} --out-folds {output.folds:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule score_forms:
    input:
        training=calibrated("training"),
        parameters=result("fit_irt", "parameters"),
        fold_parameters=result("fit_folds", "parameters"),
        selection=result("select_items", "selection"),
        fold_selection=result("select_items", "folds"),
        code=stage_code("score_subjects"),
    output:
        **results("score_forms"),
    log:
        log_of("score_forms"),
    benchmark:
        time_of("score_forms")
    conda:
        "../envs/python.yaml"
    threads: cores_each()
    params:
        scoring=options_of("scoring"),
    shell:
        "itemwise score-subjects --training {input.training:q}"
        " --parameters {input.parameters:q} --fold-parameters {input.fold_parameters:q}"
        " --selection {input.selection:q} --fold-selection {input.fold_selection:q}"
        " {params.scoring} --threads {threads} --out {output.abilities:q}"
        " --out-folds {output.folds:q} > {log:q} 2>&1"


rule score_test:
    # The test models, by the whole pool and by every form.
    input:
        test=result("cut_sets", "test"),
        parameters=result("fit_irt", "parameters"),
        selection=result("select_items", "selection"),
        code=stage_code("score_subjects"),
    output:
        **results("score_test"),
    log:
        log_of("score_test"),
    benchmark:
        time_of("score_test")
    conda:
        "../envs/python.yaml"
    threads: cores_each()
    params:
        scoring=options_of("scoring"),
    shell:
        "itemwise score-subjects --responses {input.test:q} --parameters {input.parameters:q}"
        " --selection {input.selection:q} --pool {params.scoring} --threads {threads}"
        " --out {output.abilities:q} > {log:q} 2>&1"


rule draw_baseline:
    input:
        training=result("screen_items", "training"),
        test=result("cut_sets", "test"),
        selection_record=result("select_items", "record"),
        code=stage_code("draw_baseline"),
    output:
        **results("draw_baseline"),
    log:
        log_of("draw_baseline"),
    benchmark:
        time_of("draw_baseline")
    conda:
        "../envs/python.yaml"
    params:
        selection=options_of("selection", only=["draws"]),
        seed=CONFIG["seed"],
    shell:
        "itemwise draw-baseline --training {input.training:q} --test {input.test:q}"
        " --benchmark {wildcards.benchmark} --size-of {input.selection_record:q}"
        " {params.selection} --seed {params.seed}"
        " --out {output.baseline:q} --record {output.record:q} > {log:q} 2>&1"


rule simulate_cat:
    input:
        training=calibrated("training"),
        test=result("cut_sets", "test"),
        parameters=result("fit_irt", "parameters"),
        fold_parameters=result("fit_folds", "parameters"),
        item_table=result("screen_items", "item_table"),
        selection=result("select_items", "selection"),
        selection_record=result("select_items", "record"),
        terms=result("fit_readout", "terms"),
        abilities=result("score_test", "abilities"),
        code=stage_code("simulate_cat"),
    output:
        **results("simulate_cat"),
    log:
        log_of("simulate_cat"),
    benchmark:
        time_of("simulate_cat")
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=per_attempt(6000),
        runtime=per_attempt(240),
    params:
        cat=options_of("cat"),
        seed=CONFIG["seed"],
    shell:
        "itemwise simulate-cat --training {input.training:q} --test {input.test:q}"
        " --parameters {input.parameters:q} --fold-parameters {input.fold_parameters:q}"
        " --benchmark {wildcards.benchmark} {params.cat} --items {input.item_table:q}"
        " --selection {input.selection:q}"
        " --selection-record {input.selection_record:q} --terms {input.terms:q}"
        " --abilities {input.abilities:q} --seed {params.seed}"
        " --out {output.traces:q} --out-study {output.study:q}"
        " --out-calibration {output.calibration:q} > {log:q} 2>&1"


rule analyze_factors:
    input:
        full_scores=of_each("build_responses", "full_scores"),
        abilities=of_each("score_subjects", "abilities"),
        form_abilities=of_each("score_forms", "abilities"),
        test_abilities=of_each("score_test", "abilities"),
        code=stage_code("analyze_factors"),
    output:
        **results("analyze_factors"),
    log:
        log_of("analyze_factors", "factors"),
    benchmark:
        time_of("analyze_factors", "factors")
    conda:
        "../envs/r.yaml"
    params:
        full_scores=lambda wildcards, input: ",".join(input.full_scores),
        abilities=lambda wildcards, input: ",".join(input.abilities),
        form_abilities=lambda wildcards, input: ",".join(input.form_abilities),
        test_abilities=lambda wildcards, input: ",".join(input.test_abilities),
        benchmarks=",".join(BENCHMARKS),
    shell:
        f"Rscript --vanilla {R_STAGES}/analyze_factors.R"
        " --full-scores {params.full_scores:q}"
        " --abilities {params.abilities:q} --form-abilities {params.form_abilities:q}"
        " --test-abilities {params.test_abilities:q} --benchmarks {params.benchmarks:q}"
        " --out {output.loadings:q} --record {output.record:q}"
        " > {log:q} 2>&1"


rule export_bank:
    input:
        item_table=of_each("screen_items", "item_table"),
        builds=of_each("build_responses", "record"),
        form_abilities=of_each("score_forms", "abilities"),
        parameters=of_each("fit_irt", "parameters"),
        fits=of_each("fit_irt", "record"),
        selections=of_each("select_items", "selection"),
        terms=of_each("fit_readout", "terms"),
        linear=of_each("fit_readout", "linear"),
        reconstructions=of_each("fit_readout", "reconstructions"),
        readout_records=of_each("fit_readout", "record"),
        process_terms=of_each("fit_process", "terms"),
        references=of_each("fit_process", "reference"),
        process_reconstructions=of_each("fit_process", "reconstructions"),
        assessment=result("assess_readout", "reconstructions"),
        joint=list(JOINT.values()),
        adaptive=expand(result("simulate_cat", "calibration"), benchmark=ADAPTIVE),
        code=stage_code("export_bank"),
    output:
        bank=directory(BANK),
    log:
        log_of("export_bank", "bank"),
    benchmark:
        time_of("export_bank", "bank")
    conda:
        "../envs/python.yaml"
    params:
        benchmarks=BENCHMARKS,
        tables=lambda wildcards, input: options_from(input, ["item_table", "joint"]),
        joint=as_options(JOINT),
        origin=options_of("bank"),
    shell:
        "itemwise export-bank --benchmarks {params.benchmarks} --items {input.item_table:q}"
        " {params.tables} {params.joint} {params.origin} --out {output.bank:q} > {log:q} 2>&1"
