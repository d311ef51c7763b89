"""The bank's card for people."""

from __future__ import annotations

import pandas as pd

from itemwise.errors import listed
from itemwise.forms import MAIN_FORM
from itemwise.readout.features import OVERALL
from itemwise.readout.process_tables import JOINT, PROCESS


def card_text(card: dict, tables: dict[str, pd.DataFrame]) -> str:
    """Return the card for people, as Markdown."""
    lines = ["# Item bank", "", f"Source: {card['source']}. Licence: {card['licence']}.", ""]
    lines += [
        "| benchmark | models | pool | form A | IRT model | RMSE, test models | coverage |",
        "|---|---|---|---|---|---|---|",
    ]
    forms = tables["selection"]
    main = "form" if tables.get("reference") is None else PROCESS
    for name, about in card["benchmarks"].items():
        n_items = ((forms["benchmark"] == name) & (forms["form"] == MAIN_FORM)).sum()
        test = about["accuracy"][main].get("test")
        error = f"{test['rmse']:.2f} points" if test else "-"
        covered = f"{test['coverage']:.1%} of {about['level']:.0%} intervals" if test else "-"
        lines.append(
            f"| {name} | {about['n_subjects']} | {about['n_pool']} | {n_items} "
            f"| {about['model']} ({about['engine']}) | {error} | {covered} |"
        )
    lines += [
        "",
        "`parameters.parquet` holds the whole calibrated pool on one ability scale a benchmark, "
        "`forms.parquet` the short forms, `readout/` what full scores are rebuilt by: "
        + (
            "`process`, from the answers and scores of the calibration's models, without their "
            "names (`reference.parquet`)."
            if main == PROCESS
            else "`form` for complete forms, `ability` for incomplete ones."
        ),
        "",
        *joint_text(card, tables["terms"]),
        *[calibration_text(name, about) for name, about in card["benchmarks"].items()],
        "",
        *evaluation_text(tables["items"], forms),
        "",
    ]
    without = card.get("without_task", [])
    if len(without) < forms.groupby(["benchmark", "form"]).ngroups:
        lines += [
            "or, by the harness alone (`tasks/` holds the forms with frozen prompts):",
            "",
            "```",
            "cd BANK/tasks",
            "lm-eval run --model hf --model_args pretrained=MODEL --include_path . "
            "--tasks itemwise_a --log_samples --output_path LOGS",
            "itemwise score-model --bank BANK --samples LOGS",
            "```",
        ]
    lines += [f"- no harness task for {reason}" for reason in without]
    return "\n".join(lines) + "\n"


def joint_text(card: dict, terms: pd.DataFrame) -> list[str]:
    """Say what the mean of all benchmarks is rebuilt by; nothing where there is one benchmark."""
    if card.get("joint"):
        by = sorted(set(terms.loc[terms["benchmark"] == OVERALL, "readout"]))[0]
        what = {JOINT: "items of every benchmark, complete or not"}.get(by, "every form completely")
        return [f"The mean of all benchmarks (`{OVERALL}`) is rebuilt by `{by}`, for models that "
                f"answered {what}.", ""]  # fmt: skip
    return [card["joint_left_out"], ""] if card.get("joint_left_out") else []


def evaluation_text(items: pd.DataFrame, forms: pd.DataFrame) -> list[str]:
    """Say how a model is evaluated and scored: by the bank alone, where it knows enough."""
    form = items[items["item"].isin(forms["item"])]
    known = [name for name in ("task", "prompt") if name in form and form[name].notna().all()]
    logs = ["From the logs of a run of the whole benchmark:", "", "```"]
    logs += ["itemwise score-model --bank BANK --samples logs", "```"]
    evaluate = [
        "```",
        "itemwise evaluate-model --lm MODEL --bank BANK --ledger ledger --out results.parquet",
        "itemwise score-model --bank BANK --results results.parquet",
        "```",
    ]
    if "prompt" in known:
        local = (
            f"The items are of {_tasks(form)} of lm-evaluation-harness; the bank's own prompts are "
            "asked, unless `--tasks`, `--include-path` or an option that changes prompts is given."
        )
        evaluate += ["", local] if "task" in known else []
        return ["Evaluate a model on the short form, and score it:", "", *evaluate]
    if "task" in known:
        return [
            *logs,
            "",
            "The bank does not hold the prompts. The short form alone can be asked where "
            f"lm-evaluation-harness knows {_tasks(form)} (`lm-eval ls tasks`; tasks of your own: "
            "`--include-path`), with the harness's prompts, few-shot number and all, which must "
            "be those of the calibration; scoring warns where they are others:",
            "",
            *evaluate,
        ]
    return [
        "The bank knows neither the tasks nor the prompts of its items, so that it cannot ask them "
        "itself. Ask the items of `forms.parquet` as those of the calibration were asked, write a "
        "table with `subject`, `benchmark`, `item` and `response`, and score it:",
        "",
        "```",
        "itemwise score-model --bank BANK --results results.parquet",
        "```",
        "",
        "A bank asks by itself when it is made with `item_metadata` of tasks and prompts: "
        "`itemwise list-documents` writes them.",
    ]


def _tasks(items: pd.DataFrame) -> str:
    """Name the harness tasks of items."""
    names = sorted(items["task"].unique())
    return f"the task{'s' * (len(names) > 1)} {listed(names, 10)}"


def calibration_text(name: str, about: dict) -> str:
    """Say whether intervals hold the uncertainty of item parameters, and how much it is."""
    share = about.get("calibration_error")
    if share is None:
        return (
            f"- {name}: intervals do not hold the uncertainty of the item parameters, whose "
            "covariances the calibration did not give."
        )
    return (
        f"- {name}: the uncertainty of the item parameters makes {share:.2%} of the variance of "
        "abilities from form A; intervals hold it."
    )
