# What was run, and one page for people.


rule write_config:
    # Every setting of the run, defaults included; written again only where one has changed.
    input:
        from_here(ROOT / "rules/config.yte.yaml"),
    output:
        CONFIG_FILE,
    log:
        log_of("write_config", "config"),
    params:
        config=lambda wildcards: CONFIG,
    template_engine:
        "yte"


rule write_report:
    input:
        report_inputs,
        config=CONFIG_FILE,
        code=stage_code("write_report"),
    output:
        report=report(f"{RUN}/report.html", category="Run"),
    log:
        log_of("write_report", "report"),
    benchmark:
        time_of("write_report", "report")
    conda:
        "../envs/python.yaml"
    threads: 4  # sections drawn side by side; Snakemake gives no more than there are
    params:
        run=subpath(output.report, parent=True),
        reference=as_options({"reference": REFERENCE}),
    shell:
        "itemwise write-report --results {params.run:q} --config {input.config:q}"
        " {params.reference} --threads {threads} --out {output.report:q} > {log:q} 2>&1"
