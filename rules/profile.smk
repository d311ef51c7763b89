# The 360 suite: analyses of checkpoints.


rule list_checkpoints:
    input:
        tables=checkpoint_tables(),
        code=stage_code("list_checkpoints"),
    output:
        checkpoints=f"{RUN}/list_checkpoints/checkpoints.parquet",
    log:
        f"{RUN}/logs/list_checkpoints/checkpoints.log",
    benchmark:
        f"{RUN}/benchmarks/list_checkpoints/checkpoints.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        entries=option_list("entries", map(json.dumps, PROFILE["checkpoints"])),
    shell:
        "itemwise list-checkpoints {params.entries} --out {output.checkpoints:q} > {log:q} 2>&1"


rule profile_checkpoints:
    # One process a checkpoint, weights loaded once for all analyses of it. What fails is a gap
    # that the record names; what is in the store is not measured again.
    input:
        bank=profile_bank(),
        code=stage_code("profile_checkpoints"),
    output:
        measures=[
            f"{RUN}/profile_checkpoints/{{lm}}/{{revision}}/{name}.parquet" for name in ANALYSES
        ],
        record=f"{RUN}/profile_checkpoints/{{lm}}/{{revision}}/record.json",
    log:
        f"{RUN}/logs/profile_checkpoints/{{lm}}/{{revision}}.log",
    benchmark:
        f"{RUN}/benchmarks/profile_checkpoints/{{lm}}/{{revision}}.tsv"
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
        settings=profile_settings(),
        store=f"{RUN}/store/profile_checkpoints",
        out=lambda wildcards, output: str(Path(output.record).parents[2]),
    shell:
        "itemwise profile-checkpoints {params.checkpoint} {params.settings}"
        " --store {params.store:q} --out {params.out:q} --keep-going > {log:q} 2>&1"


rule list_gaps:
    input:
        records=[record for record in PROFILED if record.endswith(".json")],
        code=stage_code("list_gaps"),
    output:
        record=f"{RUN}/list_gaps/gaps.json",
    log:
        f"{RUN}/logs/list_gaps/gaps.log",
    benchmark:
        f"{RUN}/benchmarks/list_gaps/gaps.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    shell:
        "itemwise list-gaps --records {input.records:q} --out {output.record:q} > {log:q} 2>&1"
