# The 360 suite: analyses of checkpoints.


rule list_checkpoints:
    input:
        tables=[entry["table"] for entry in PROFILE["checkpoints"] if "table" in entry],
        code=stage_code("list_checkpoints"),
    output:
        **results("list_checkpoints"),
    log:
        log_of("list_checkpoints", "checkpoints"),
    benchmark:
        time_of("list_checkpoints", "checkpoints")
    conda:
        "../envs/python.yaml"
    params:
        entries=as_options({"entries": list(map(json.dumps, PROFILE["checkpoints"]))}),
    shell:
        "itemwise list-checkpoints {params.entries} --out {output.checkpoints:q} > {log:q} 2>&1"


rule profile_checkpoints:
    # One process a checkpoint, weights loaded once for all analyses of it. What fails is a gap
    # that the record names; what is in the store is not measured again.
    input:
        bank=PROFILE["bank"] or [],
        code=stage_code("profile_checkpoints"),
    output:
        measures=[
            result("profile_checkpoints", "measures").replace("{analysis}", name)
            for name in ANALYSES
        ],
        record=result("profile_checkpoints", "record"),
    log:
        log_of("profile_checkpoints", "{lm}/{revision}"),
    benchmark:
        time_of("profile_checkpoints", "{lm}/{revision}")
    wildcard_constraints:
        lm="[^/]+",
        revision="[^/]+",
    conda:
        "../envs/evaluate.yaml"
    threads: 2
    resources:
        gpu=PROFILE["gpus"],
        mem_mb=PROFILE["mem_mb"],
        runtime=PROFILE["runtime"],
    params:
        checkpoint=checkpoint_options,
        settings=as_options({"set": profile_settings(), "analyses": ANALYSES}),
        profile=options_of("profile", leave_out=[*SCHEDULED, "analyses", "dtype"]),
        store=f"{RUN}/store/profile_checkpoints",
        out=lambda wildcards, output: str(Path(output.record).parents[2]),
    shell:
        "itemwise profile-checkpoints {params.checkpoint} {params.profile}"
        " {params.settings}"
        " --store {params.store:q} --out {params.out:q} --keep-going > {log:q} 2>&1"


rule list_gaps:
    input:
        records=GAPS,
        code=stage_code("list_gaps"),
    output:
        **results("list_gaps"),
    log:
        log_of("list_gaps", "gaps"),
    benchmark:
        time_of("list_gaps", "gaps")
    conda:
        "../envs/python.yaml"
    shell:
        "itemwise list-gaps --records {input.records:q} --out {output.record:q} > {log:q} 2>&1"
