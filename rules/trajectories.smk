# From measures of checkpoints to trajectories and the 360 page.


rule build_trajectories:
    input:
        measures=[*MEASURES, *GAPS],
        checkpoints=result("list_checkpoints", "checkpoints"),
        training_logs=[text.rpartition("=")[2] for text in PROFILE["training_logs"]],
        code=stage_code("build_trajectories"),
    output:
        trajectories=directory(TRAJECTORIES),
    log:
        log_of("build_trajectories", "trajectories"),
    benchmark:
        time_of("build_trajectories", "trajectories")
    conda:
        "../envs/python.yaml"
    params:
        # The folder, since a command line has no room for the files of hundreds of checkpoints.
        folder=f"{RUN}/profile_checkpoints",
        analyses=as_options({"analyses": ANALYSES}),
        about=options_of("profile", only=["axis_label", "training_logs"]),
        seed=CONFIG["seed"],
    shell:
        "itemwise build-trajectories --measures {params.folder:q} {params.analyses} {params.about}"
        " --checkpoints {input.checkpoints:q} --seed {params.seed}"
        " --out {output.trajectories:q} > {log:q} 2>&1"


rule write_profile:
    input:
        trajectories=TRAJECTORIES,
        code=stage_code("write_profile"),
    output:
        page=report(f"{RUN}/profile.html", category="Run"),
    log:
        log_of("write_profile", "profile"),
    benchmark:
        time_of("write_profile", "profile")
    conda:
        "../envs/python.yaml"
    params:
        title=CONFIG["run"],
    shell:
        "itemwise write-profile --trajectories {input.trajectories:q} --title {params.title:q}"
        " --out {output.page:q} > {log:q} 2>&1"
