# One page for people.


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
    conda:
        "../envs/python.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        run=lambda wildcards, output: str(Path(output.report).parent),
        benchmarks=BENCHMARKS,
        simulated=option_list("simulated", SIMULATED),
        reference=option_list("reference", REFERENCE),
        published=published_numbers(),
        zoo=option_list("zoo", CONFIG["zoo"]["runs"]),
        followed=option_list("followed", HELD_OUT),
        rules=cat_rules(),
        not_compared=not_compared(),
    shell:
        "itemwise write-report --results {params.run:q} --benchmarks {params.benchmarks:q}"
        " {params.simulated} {params.reference} {params.published} {params.zoo} {params.followed}"
        " {params.rules} {params.not_compared}"
        " --out {output.report:q} > {log:q} 2>&1"
