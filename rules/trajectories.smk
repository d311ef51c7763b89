# From measures of checkpoints to trajectories and the 360 page.


rule build_trajectories:
    input:
        measures=PROFILED,
        checkpoints=f"{RUN}/list_checkpoints/checkpoints.parquet",
        code=stage_code("build_trajectories"),
    output:
        trajectories=directory(f"{RUN}/build_trajectories/trajectories"),
    log:
        f"{RUN}/logs/build_trajectories/trajectories.log",
    benchmark:
        f"{RUN}/benchmarks/build_trajectories/trajectories.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        # The folder, since a command line has no room for the files of hundreds of checkpoints.
        folder=lambda wildcards: f"{RUN}/profile_checkpoints",
        analyses=option_list("analyses", ANALYSES),
        seed=CONFIG["seed"],
    shell:
        "itemwise build-trajectories --measures {params.folder:q} {params.analyses}"
        " --checkpoints {input.checkpoints:q} --seed {params.seed}"
        " --out {output.trajectories:q} > {log:q} 2>&1"


rule write_profile:
    input:
        trajectories=f"{RUN}/build_trajectories/trajectories",
        code=stage_code("write_profile"),
    output:
        page=report(f"{RUN}/profile.html", category="Run"),
    log:
        f"{RUN}/logs/write_profile/profile.log",
    benchmark:
        f"{RUN}/benchmarks/write_profile/profile.tsv"
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        title=CONFIG["run"],
    shell:
        "itemwise write-profile --trajectories {input.trajectories:q} --title {params.title:q}"
        " --out {output.page:q} > {log:q} 2>&1"
