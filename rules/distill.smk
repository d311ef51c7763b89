# From the calibrated pool to a short form and the full scores that it stands for.


rule search_selection:
    # The journal is no output: Snakemake would remove it before a restart.
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        full_scores=f"{RUN}/build_responses/{{benchmark}}.full-scores.parquet",
        item_table=calibrated_items,
        splits=f"{RUN}/split_subjects/splits.parquet",
        enough=f"{RUN}/check_budget/{{benchmark}}.json",
        code=stage_code("search_selection"),
    output:
        trials=f"{RUN}/search_selection/{{benchmark}}.parquet",
        settings=f"{RUN}/search_selection/{{benchmark}}.yaml",
        record=f"{RUN}/search_selection/{{benchmark}}.json",
    log:
        f"{RUN}/logs/search_selection/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/search_selection/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    threads: cores_each()
    resources:
        mem_mb=growing(6000),
        runtime=growing(600),
    params:
        search=CONFIG["search"],
        budget=setting("selection", "budget"),
        penalty=option("penalty", "selection", "penalty"),
        balance=option("balance", "selection", "balance"),
        journal=lambda wildcards: f"{RUN}/search_selection/{wildcards.benchmark}.journal.jsonl",
        seed=CONFIG["seed"],
    shell:
        "itemwise search-selection --responses {input.responses:q} --items {input.item_table:q}"
        " --splits {input.splits:q} --full-scores {input.full_scores:q}"
        " --benchmark {wildcards.benchmark} --irt-models {params.search[models]}"
        " --scorings {params.search[scorings]} --methods {params.search[methods]}"
        " --budget {params.budget} {params.penalty} {params.balance}"
        " --trials {params.search[trials]} --inner-folds {params.search[inner_folds]}"
        " --outer-folds {params.search[outer_folds]} --journal {params.journal:q}"
        " --seed {params.seed} --threads {threads} --out {output.trials:q}"
        " --out-settings {output.settings:q} --record {output.record:q} > {log:q} 2>&1"


rule select_items:
    input:
        parameters=f"{RUN}/fit_irt/{{benchmark}}.parquet",
        abilities=f"{RUN}/score_subjects/{{benchmark}}.parquet",
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        full_scores=f"{RUN}/build_responses/{{benchmark}}.full-scores.parquet",
        item_table=calibrated_items,
        splits=f"{RUN}/split_subjects/splits.parquet",
        enough=f"{RUN}/check_budget/{{benchmark}}.json",
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
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        method=setting("selection", "method"),
        size=form_size,
        penalty=option("penalty", "selection", "penalty"),
        forms=setting("selection", "forms"),
        balance=option("balance", "selection", "balance"),
        thin=option("thin", "selection", "thin"),
        bins=setting("selection", "bins"),
        grid=setting("selection", "grid"),
        random_forms=setting("selection", "random_forms"),
        seed=CONFIG["seed"],
    shell:
        "itemwise select-items --parameters {input.parameters:q} --abilities {input.abilities:q}"
        " --splits {input.splits:q} --responses {input.responses:q}"
        " --full-scores {input.full_scores:q} --items {input.item_table:q}"
        " --benchmark {wildcards.benchmark} --method {params.method} {params.size}"
        " {params.penalty} --forms {params.forms} {params.balance} {params.thin}"
        " --bins {params.bins} --grid {params.grid} --random-forms {params.random_forms}"
        " --seed {params.seed} --out {output.selection:q}"
        " --out-information {output.information:q} --record {output.record:q} > {log:q} 2>&1"


rule score_forms:
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        parameters=f"{RUN}/fit_irt/{{benchmark}}.parquet",
        fold_parameters=f"{RUN}/fit_folds/{{benchmark}}.parquet",
        splits=f"{RUN}/split_subjects/splits.parquet",
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
    threads: cores_each()
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        method=setting("scoring", "method"),
    shell:
        "itemwise score-subjects --responses {input.responses:q}"
        " --parameters {input.parameters:q} --fold-parameters {input.fold_parameters:q}"
        " --splits {input.splits:q} --selection {input.selection:q}"
        " --method {params.method} --threads {threads} --out {output.abilities:q} > {log:q} 2>&1"


rule fit_readout:
    input:
        abilities=f"{RUN}/score_forms/{{benchmark}}.parquet",
        selection=f"{RUN}/select_items/{{benchmark}}.parquet",
        selection_record=f"{RUN}/select_items/{{benchmark}}.json",
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        parameters=f"{RUN}/fit_irt/{{benchmark}}.parquet",
        full_scores=f"{RUN}/build_responses/{{benchmark}}.full-scores.parquet",
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("fit_readout"),
    output:
        reconstructions=f"{RUN}/fit_readout/{{benchmark}}.parquet",
        features=f"{RUN}/fit_readout/{{benchmark}}.features.parquet",
        terms=f"{RUN}/fit_readout/{{benchmark}}.terms.parquet",
        linear=f"{RUN}/fit_readout/{{benchmark}}.linear.parquet",
        record=f"{RUN}/fit_readout/{{benchmark}}.json",
    log:
        f"{RUN}/logs/fit_readout/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/fit_readout/{{benchmark}}.tsv"
    conda:
        "../envs/r.yaml"
    threads: cores_each()
    resources:
        mem_mb=growing(6000),
        runtime=growing(120),
    params:
        formula=setting("readout", "formula"),
        form_formula=setting("readout", "form_formula"),
        level=setting("readout", "level"),
        seed=CONFIG["seed"],
    shell:
        f"Rscript --vanilla {R_STAGES}/fit_readout.R"
        " --abilities {input.abilities:q}"
        " --selection {input.selection:q} --selection-record {input.selection_record:q}"
        " --responses {input.responses:q} --parameters {input.parameters:q}"
        " --full-scores {input.full_scores:q}"
        " --splits {input.splits:q} --benchmark {wildcards.benchmark}"
        " --formula {params.formula:q} --form-formula {params.form_formula:q}"
        " --level {params.level} --seed {params.seed} --threads {threads}"
        " --out {output.reconstructions:q} --out-features {output.features:q}"
        " --out-terms {output.terms:q} --out-linear {output.linear:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule fit_joint_readout:
    # Each benchmark with the help of the others, and the mean of all.
    input:
        features=expand(f"{RUN}/fit_readout/{{b}}.features.parquet", b=BENCHMARKS),
        selections=expand(f"{RUN}/select_items/{{b}}.parquet", b=BENCHMARKS),
        selection_records=expand(f"{RUN}/select_items/{{b}}.json", b=BENCHMARKS),
        code=stage_code("fit_joint_readout"),
    output:
        reconstructions=f"{RUN}/fit_joint_readout/joint.parquet",
        terms=f"{RUN}/fit_joint_readout/joint.terms.parquet",
        record=f"{RUN}/fit_joint_readout/joint.json",
    log:
        f"{RUN}/logs/fit_joint_readout/joint.log",
    benchmark:
        f"{RUN}/benchmarks/fit_joint_readout/joint.tsv"
    conda:
        "../envs/r.yaml"
    resources:
        mem_mb=growing(6000),
        runtime=growing(120),
    params:
        features=lambda wildcards, input: ",".join(input.features),
        selections=lambda wildcards, input: ",".join(input.selections),
        selection_records=lambda wildcards, input: ",".join(input.selection_records),
        formula=CONFIG["joint"]["formula"],
        grand_formula=CONFIG["joint"]["grand_formula"],
        level=CONFIG["readout"]["level"],
        seed=CONFIG["seed"],
    shell:
        f"Rscript --vanilla {R_STAGES}/fit_joint_readout.R"
        " --features {params.features:q}"
        " --selections {params.selections:q} --selection-records {params.selection_records:q}"
        " --formula {params.formula:q} --grand-formula {params.grand_formula:q}"
        " --level {params.level} --seed {params.seed}"
        " --out {output.reconstructions:q} --out-terms {output.terms:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule assess_readout:
    # The test subjects are predicted here, once. Nothing that is chosen depends on it.
    input:
        responses=expand(f"{RUN}/build_responses/{{b}}.parquet", b=BENCHMARKS),
        parameters=expand(f"{RUN}/fit_irt/{{b}}.parquet", b=BENCHMARKS),
        form_abilities=expand(f"{RUN}/score_forms/{{b}}.parquet", b=BENCHMARKS),
        selections=expand(f"{RUN}/select_items/{{b}}.parquet", b=BENCHMARKS),
        full_scores=expand(f"{RUN}/build_responses/{{b}}.full-scores.parquet", b=BENCHMARKS),
        terms=expand(f"{RUN}/fit_readout/{{b}}.terms.parquet", b=BENCHMARKS),
        linear=expand(f"{RUN}/fit_readout/{{b}}.linear.parquet", b=BENCHMARKS),
        records=expand(f"{RUN}/fit_readout/{{b}}.json", b=BENCHMARKS),
        joint=JOINT,
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("assess_readout"),
    output:
        reconstructions=f"{RUN}/assess_readout/test.parquet",
        features=f"{RUN}/assess_readout/test.features.parquet",
        record=f"{RUN}/assess_readout/test.json",
    log:
        f"{RUN}/logs/assess_readout/test.log",
    benchmark:
        f"{RUN}/benchmarks/assess_readout/test.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(6000),
        runtime=growing(240),
    params:
        benchmarks=BENCHMARKS,
        joint=joint_options,
    shell:
        "itemwise assess-readout --benchmarks {params.benchmarks} --responses {input.responses:q}"
        " --parameters {input.parameters:q} --form-abilities {input.form_abilities:q}"
        " --selections {input.selections:q} --full-scores {input.full_scores:q}"
        " --terms {input.terms:q} --linear {input.linear:q} --readout-records {input.records:q}"
        " {params.joint} --splits {input.splits:q} --out {output.reconstructions:q}"
        " --out-features {output.features:q} --record {output.record:q} > {log:q} 2>&1"


rule draw_baseline:
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        item_table=f"{RUN}/screen_items/{{benchmark}}.parquet",
        selection_record=f"{RUN}/select_items/{{benchmark}}.json",
        full_scores=f"{RUN}/build_responses/{{benchmark}}.full-scores.parquet",
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("draw_baseline"),
    output:
        baseline=f"{RUN}/draw_baseline/{{benchmark}}.parquet",
        record=f"{RUN}/draw_baseline/{{benchmark}}.json",
    log:
        f"{RUN}/logs/draw_baseline/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/draw_baseline/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        draws=setting("selection", "draws"),
        seed=CONFIG["seed"],
    shell:
        "itemwise draw-baseline --responses {input.responses:q} --items {input.item_table:q}"
        " --full-scores {input.full_scores:q} --splits {input.splits:q}"
        " --benchmark {wildcards.benchmark} --size-of {input.selection_record:q}"
        " --draws {params.draws} --seed {params.seed}"
        " --out {output.baseline:q} --record {output.record:q} > {log:q} 2>&1"


rule simulate_cat:
    input:
        responses=f"{RUN}/build_responses/{{benchmark}}.parquet",
        parameters=f"{RUN}/fit_irt/{{benchmark}}.parquet",
        fold_parameters=f"{RUN}/fit_folds/{{benchmark}}.parquet",
        item_table=f"{RUN}/screen_items/{{benchmark}}.parquet",
        selection=f"{RUN}/select_items/{{benchmark}}.parquet",
        selection_record=f"{RUN}/select_items/{{benchmark}}.json",
        terms=f"{RUN}/fit_readout/{{benchmark}}.terms.parquet",
        full_scores=f"{RUN}/build_responses/{{benchmark}}.full-scores.parquet",
        abilities=f"{RUN}/score_subjects/{{benchmark}}.parquet",
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("simulate_cat"),
    output:
        traces=f"{RUN}/simulate_cat/{{benchmark}}.parquet",
        study=f"{RUN}/simulate_cat/{{benchmark}}.study.parquet",
        calibration=f"{RUN}/simulate_cat/{{benchmark}}.calibration.parquet",
    log:
        f"{RUN}/logs/simulate_cat/{{benchmark}}.log",
    benchmark:
        f"{RUN}/benchmarks/simulate_cat/{{benchmark}}.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(6000),
        runtime=growing(240),
    params:
        rules=cat_rules(),
        calibrate_on=CONFIG["cat"]["calibrate_on"],
        seed=CONFIG["seed"],
    shell:
        "itemwise simulate-cat --responses {input.responses:q} --parameters {input.parameters:q}"
        " --fold-parameters {input.fold_parameters:q}"
        " --benchmark {wildcards.benchmark} {params.rules} --items {input.item_table:q}"
        " --selection {input.selection:q}"
        " --selection-record {input.selection_record:q} --terms {input.terms:q}"
        " --full-scores {input.full_scores:q} --abilities {input.abilities:q}"
        " --splits {input.splits:q} --calibrate-on {params.calibrate_on} --seed {params.seed}"
        " --out {output.traces:q} --out-study {output.study:q}"
        " --out-calibration {output.calibration:q} > {log:q} 2>&1"


rule analyze_factors:
    input:
        full_scores=expand(f"{RUN}/build_responses/{{b}}.full-scores.parquet", b=BENCHMARKS),
        abilities=expand(f"{RUN}/score_subjects/{{b}}.parquet", b=BENCHMARKS),
        form_abilities=expand(f"{RUN}/score_forms/{{b}}.parquet", b=BENCHMARKS),
        splits=f"{RUN}/split_subjects/splits.parquet",
        code=stage_code("analyze_factors"),
    output:
        loadings=f"{RUN}/analyze_factors/factors.parquet",
        record=f"{RUN}/analyze_factors/factors.json",
    log:
        f"{RUN}/logs/analyze_factors/factors.log",
    benchmark:
        f"{RUN}/benchmarks/analyze_factors/factors.tsv"
    conda:
        "../envs/r.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        full_scores=lambda wildcards, input: ",".join(input.full_scores),
        abilities=lambda wildcards, input: ",".join(input.abilities),
        form_abilities=lambda wildcards, input: ",".join(input.form_abilities),
        benchmarks=",".join(BENCHMARKS),
    shell:
        f"Rscript --vanilla {R_STAGES}/analyze_factors.R"
        " --full-scores {params.full_scores:q}"
        " --abilities {params.abilities:q} --form-abilities {params.form_abilities:q}"
        " --benchmarks {params.benchmarks:q}"
        " --splits {input.splits:q} --out {output.loadings:q} --record {output.record:q}"
        " > {log:q} 2>&1"


rule export_bank:
    input:
        item_table=expand(f"{RUN}/screen_items/{{b}}.parquet", b=BENCHMARKS),
        builds=expand(f"{RUN}/build_responses/{{b}}.json", b=BENCHMARKS),
        form_abilities=expand(f"{RUN}/score_forms/{{b}}.parquet", b=BENCHMARKS),
        parameters=expand(f"{RUN}/fit_irt/{{b}}.parquet", b=BENCHMARKS),
        fits=expand(f"{RUN}/fit_irt/{{b}}.json", b=BENCHMARKS),
        selections=expand(f"{RUN}/select_items/{{b}}.parquet", b=BENCHMARKS),
        terms=expand(f"{RUN}/fit_readout/{{b}}.terms.parquet", b=BENCHMARKS),
        linear=expand(f"{RUN}/fit_readout/{{b}}.linear.parquet", b=BENCHMARKS),
        reconstructions=expand(f"{RUN}/fit_readout/{{b}}.parquet", b=BENCHMARKS),
        records=expand(f"{RUN}/fit_readout/{{b}}.json", b=BENCHMARKS),
        assessment=f"{RUN}/assess_readout/test.parquet",
        joint=JOINT,
        adaptive=expand(f"{RUN}/simulate_cat/{{b}}.calibration.parquet", b=ADAPTIVE),
        code=stage_code("export_bank"),
    output:
        bank=directory(f"{RUN}/bank"),
    log:
        f"{RUN}/logs/export_bank/bank.log",
    benchmark:
        f"{RUN}/benchmarks/export_bank/bank.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        benchmarks=BENCHMARKS,
        adaptive=lambda wildcards, input: option_list("adaptive", input.adaptive),
        joint=joint_options,
        methods=[CONFIG["benchmarks"][b]["scoring"]["method"] for b in BENCHMARKS],
        source=CONFIG["bank"]["source"],
        licence=CONFIG["bank"]["licence"],
    shell:
        "itemwise export-bank --benchmarks {params.benchmarks} --items {input.item_table:q}"
        " --builds {input.builds:q} --form-abilities {input.form_abilities:q}"
        " --parameters {input.parameters:q} --fits {input.fits:q}"
        " --selections {input.selections:q} --terms {input.terms:q} --linear {input.linear:q}"
        " --reconstructions {input.reconstructions:q} --readout-records {input.records:q}"
        " --assessment {input.assessment:q}"
        " {params.joint} {params.adaptive} --methods {params.methods} --source {params.source:q}"
        " --licence {params.licence:q} --out {output.bank:q} > {log:q} 2>&1"
