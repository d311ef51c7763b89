# From the answers to a short form to full scores, and what that is worth on test models.


rule fit_process:
    input:
        training=calibrated("training"),
        parameters=result("fit_irt", "parameters"),
        abilities=result("score_forms", "abilities"),
        selection=result("select_items", "selection"),
        fold_abilities=result("score_forms", "folds"),
        fold_selection=result("select_items", "folds"),
        item_table=calibrated("item_table"),
        code=stage_code("fit_process"),
    output:
        **results("fit_process"),
    log:
        log_of("fit_process"),
    benchmark:
        time_of("fit_process")
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=per_attempt(6000),
        runtime=per_attempt(120),
    params:
        level=options_of("readout", only=["level"]),
        seed=CONFIG["seed"],
    shell:
        "itemwise fit-process --training {input.training:q} --parameters {input.parameters:q}"
        " --abilities {input.abilities:q} --selection {input.selection:q}"
        " --fold-abilities {input.fold_abilities:q} --fold-selection {input.fold_selection:q}"
        " --items {input.item_table:q} --benchmark {wildcards.benchmark} {params.level}"
        " --seed {params.seed} --out {output.reconstructions:q}"
        " --out-terms {output.terms:q} --out-reference {output.reference:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule fit_joint_process:
    # Each benchmark with the help of the others, and the mean of all.
    input:
        training=calibrated_of_each("training"),
        parameters=of_each("fit_irt", "parameters"),
        abilities=of_each("score_forms", "abilities"),
        selections=of_each("select_items", "selection"),
        fold_abilities=of_each("score_forms", "folds"),
        fold_selections=of_each("select_items", "folds"),
        item_table=calibrated_of_each("item_table"),
        code=stage_code("fit_joint_process"),
    output:
        **results("fit_joint_process"),
    log:
        log_of("fit_joint_process", "joint"),
    benchmark:
        time_of("fit_joint_process", "joint")
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=per_attempt(6000),
        runtime=per_attempt(240),
    params:
        benchmarks=BENCHMARKS,
        tables=lambda wildcards, input: options_from(input, ["item_table"]),
        level=CONFIG["readout"]["level"],
        seed=CONFIG["seed"],
    shell:
        "itemwise fit-joint-process --benchmarks {params.benchmarks} {params.tables}"
        " --items {input.item_table:q}"
        " --level {params.level} --seed {params.seed} --out {output.reconstructions:q}"
        " --out-terms {output.terms:q} --record {output.record:q} > {log:q} 2>&1"


rule fit_readout:
    # The additive models of the chosen forms; random forms are read out by the process alone.
    input:
        abilities=result("score_forms", "abilities"),
        selection=result("select_items", "selection"),
        selection_record=result("select_items", "record"),
        training=calibrated("training"),
        parameters=result("fit_irt", "parameters"),
        code=stage_code("fit_readout"),
    output:
        **results("fit_readout"),
    log:
        log_of("fit_readout"),
    benchmark:
        time_of("fit_readout")
    conda:
        "../envs/r.yaml"
    threads: cores_each()
    resources:
        mem_mb=per_attempt(6000),
        runtime=per_attempt(120),
    params:
        readout=options_of("readout"),
        seed=CONFIG["seed"],
    shell:
        f"Rscript --vanilla {R_STAGES}/fit_readout.R"
        " --abilities {input.abilities:q}"
        " --selection {input.selection:q} --selection-record {input.selection_record:q}"
        " --training {input.training:q} --parameters {input.parameters:q}"
        " --benchmark {wildcards.benchmark}"
        " {params.readout} --seed {params.seed} --threads {threads}"
        " --out {output.reconstructions:q} --out-features {output.features:q}"
        " --out-terms {output.terms:q} --out-linear {output.linear:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule fit_joint_readout:
    # The same by additive models, for statisticians and the reproduction of metabench.
    input:
        features=of_each("fit_readout", "features"),
        selections=of_each("select_items", "selection"),
        selection_records=of_each("select_items", "record"),
        code=stage_code("fit_joint_readout"),
    output:
        **results("fit_joint_readout"),
    log:
        log_of("fit_joint_readout", "joint"),
    benchmark:
        time_of("fit_joint_readout", "joint")
    conda:
        "../envs/r.yaml"
    resources:
        mem_mb=per_attempt(6000),
        runtime=per_attempt(120),
    params:
        features=lambda wildcards, input: ",".join(input.features),
        selections=lambda wildcards, input: ",".join(input.selections),
        selection_records=lambda wildcards, input: ",".join(input.selection_records),
        joint=options_of("joint", leave_out=["smooths"]),
        level=CONFIG["readout"]["level"],
        seed=CONFIG["seed"],
    shell:
        f"Rscript --vanilla {R_STAGES}/fit_joint_readout.R"
        " --features {params.features:q}"
        " --selections {params.selections:q} --selection-records {params.selection_records:q}"
        " {params.joint} --level {params.level} --seed {params.seed}"
        " --out {output.reconstructions:q} --out-terms {output.terms:q}"
        " --record {output.record:q} > {log:q} 2>&1"


rule assess_readout:
    # The test subjects are predicted here, once. Nothing that is chosen depends on it.
    input:
        test=of_each("cut_sets", "test"),
        parameters=of_each("fit_irt", "parameters"),
        form_abilities=of_each("score_test", "abilities"),
        selections=of_each("select_items", "selection"),
        terms=of_each("fit_readout", "terms"),
        linear=of_each("fit_readout", "linear"),
        readout_records=of_each("fit_readout", "record"),
        process_terms=of_each("fit_process", "terms"),
        references=of_each("fit_process", "reference"),
        joint=list(JOINT.values()),
        code=stage_code("assess_readout"),
    output:
        **results("assess_readout"),
    log:
        log_of("assess_readout", "test"),
    benchmark:
        time_of("assess_readout", "test")
    conda:
        "../envs/python.yaml"
    threads: 4  # forms predicted side by side; Snakemake gives no more than there are
    resources:
        mem_mb=per_attempt(6000),
        runtime=per_attempt(240),
    params:
        benchmarks=BENCHMARKS,
        tables=lambda wildcards, input: options_from(input, ["joint"]),
        joint=as_options(JOINT),
    shell:
        "itemwise assess-readout --benchmarks {params.benchmarks} {params.tables} {params.joint}"
        " --threads {threads}"
        " --out {output.reconstructions:q} --out-features {output.features:q}"
        " --record {output.record:q} > {log:q} 2>&1"
