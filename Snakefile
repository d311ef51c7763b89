# itemwise: distil LLM benchmarks to the items that matter.
#   snakemake --cores 2                          the demo on tiny models (config/demo.yaml)
#   snakemake --cores 32 --configfile my.yaml    your own benchmarks
#   snakemake --snakefile CLONE/Snakefile ...     from any folder; results go into that one
# Everything is written to results/<run>/; config/README.md lists every key.
from snakemake.utils import min_version

min_version("9.19")

if not workflow.overwrite_configfiles:

    # Snakemake merges configurations, so the demo must not lie under another one.
    configfile: workflow.source_path("config/demo.yaml")


include: "rules/common.smk"
include: "rules/options.smk"
include: "rules/tiny_models.smk"
include: "rules/collect.smk"
include: "rules/calibrate.smk"
include: "rules/distill.smk"
include: "rules/rebuild.smk"
include: "rules/profile.smk"
include: "rules/trajectories.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        CONFIG_FILE,
        [f"{RUN}/report.html", BANK] if BENCHMARKS else [],
        [*MEASURES, *GAPS, result("list_gaps", "record"), f"{RUN}/profile.html"] if GAPS else [],
    localrule: True


onerror:
    logger.warning(space_left())
