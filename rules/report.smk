# One page for people.


def report_inputs(wildcards):
    """Return what the report shows of every benchmark."""
    stages = {
        "build_responses": ["parquet", "json"],
        "screen_items": ["parquet", "json"],
        "fit_irt": ["parquet", "json"],
        "score_subjects": ["parquet"],
        "select_items": ["parquet", "json"],
        "fit_readout": ["parquet", "json"],
    }
    files = [
        f"{RUN}/{stage}/{benchmark}.{suffix}"
        for stage, suffixes in stages.items()
        for suffix in suffixes
        for benchmark in BENCHMARKS
    ]
    files += [f"{RUN}/compare_engines/{benchmark}.json" for benchmark in REFERENCE]
    return files + [f"{RUN}/split_subjects/splits.parquet", f"{RUN}/split_subjects/splits.json"]


rule write_report:
    input:
        report_inputs,
        code=stage_code("write_report"),
    output:
        report=report(f"{RUN}/report.html", category="Run"),
    log:
        f"{RUN}/logs/write_report/report.log",
    benchmark:
        f"{RUN}/benchmarks/write_report/report.tsv"
    params:
        run=RUN,
        simulated=names_option("simulated", SIMULATED),
        reference=names_option("reference", REFERENCE),
    conda:
        "../envs/python.yaml"
    shell:
        "itemwise write-report --results {params.run:q} --benchmarks {BENCHMARKS:q}"
        " {params.simulated} {params.reference} --out {output.report:q} > {log:q} 2>&1"
