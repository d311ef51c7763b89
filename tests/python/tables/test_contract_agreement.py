"""Python and R read one contract, refuse the same tables, and read what the other wrote.

Without an R package for parquet, R reads through `itemwise convert-table`. To start
that for each of hundreds of tables would take minutes, so here a stand-in of the same
interface hands out CSV that the real command made within this process; the command
itself is called for a few tables at the end.
"""

import json
import os
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import breaches, valid_table

from itemwise.errors import UserError
from itemwise.responses.matrix import from_frame, read_responses, write_responses
from itemwise.tables.contract import contract, read_table, write_table

LIBRARY = """
options(itemwise.root = Sys.getenv("ITEMWISE_ROOT"), warn = 1)
for (lib in c("options", "io", "parquet")) source(file.path("R/lib", paste0(lib, ".R")))
jobs <- jsonlite::read_json(Sys.getenv("JOBS"))
"""
CHECK = (
    LIBRARY
    + """
answers <- lapply(jobs, \\(job) {
  tryCatch({ read_table(job$path, job$table); "" }, user_error = conditionMessage)
})
jsonlite::write_json(answers, Sys.getenv("ANSWERS"), auto_unbox = TRUE)
"""
)
COPY = (
    LIBRARY
    + """
for (job in jobs) write_table(read_table(job$path, job$table), job$copy, job$table)
"""
)
STAND_IN = """#!/bin/sh
# convert-table --in IN --out OUT [--table TABLE] --null '\\N': CSV lies beside the parquet file.
case "$3" in
  *.parquet) exec cp "$3.csv" "$5" ;;
  *) exec cp "$3" "$5" ;;
esac
"""
NULL = ("--null", r"\N")
"""What R writes for null, and expects."""
BACK_ENDS = ["nanoparquet", "arrow", "python"]
NAMES = list(contract())


@pytest.fixture(scope="session", params=BACK_ENDS)
def back_end(request, rscript):
    """Return a way for R to read parquet, or skip where its R package is missing."""
    if request.param != "python":
        asked = rscript(f"quit(status = !requireNamespace('{request.param}', quietly = TRUE))")
        if asked.returncode:
            pytest.skip(f"R package {request.param} is not installed")
    return request.param


def write(frame: pd.DataFrame, path: Path, name: str) -> None:
    """Write a valid table as Python writes it."""
    if name == "responses":
        write_responses(from_frame(frame), path)
    else:
        write_table(frame, path, name)


def read(path: Path, name: str) -> pd.DataFrame:
    """Read a table as Python reads it."""
    if name != "responses":
        return read_table(path, name)
    responses = read_responses(path)
    frame = pd.DataFrame(responses.matrix, columns=responses.items)
    frame.insert(0, "subject", responses.subjects)
    return frame


def prepare(folder: Path, back_end: str, itemwise) -> dict[str, str]:
    """Return the environment of R; make CSV and the stand-in where R needs them."""
    environment = {"ITEMWISE_R_PARQUET": back_end, "ITEMWISE_COMMAND": str(folder / "stand-in")}
    if back_end == "python":
        (folder / "stand-in").write_text(STAND_IN)
        (folder / "stand-in").chmod(0o755)
        for path in folder.glob("*.parquet"):
            assert (
                itemwise("convert-table", "--in", path, "--out", f"{path}.csv", *NULL).status == 0
            )
    return environment


def ask(rscript, code: str, folder: Path, jobs: list[dict], environment: dict) -> list[str]:
    """Run R on jobs and return its answers."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    finished = rscript(
        code, JOBS=f"{folder}/jobs.json", ANSWERS=f"{folder}/answers.json", **environment
    )
    assert finished.returncode == 0, finished.stderr
    answers = folder / "answers.json"
    return json.loads(answers.read_text()) if answers.exists() else []


@pytest.fixture(scope="session")
def bad_tables(tmp_path_factory):
    """Return a folder of bad tables: what each is, its table, file, and Python's message."""
    folder = tmp_path_factory.mktemp("bad")
    made = []
    for name in NAMES:
        for what, frame, named in breaches(name):
            path = folder / f"{len(made):03d}.parquet"
            try:
                pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
            except pa.ArrowException:
                continue  # texts among numbers: parquet cannot hold such a column
            with pytest.raises(UserError) as refused:
                read(path, name)
            made.append((f"{name}: {what}", name, path, named, str(refused.value)))
    return folder, made


def test_both_languages_refuse_the_same_tables(bad_tables, back_end, rscript, itemwise):
    folder, made = bad_tables
    environment = prepare(folder, back_end, itemwise)
    jobs = [{"path": str(path), "table": name} for _, name, path, _, _ in made]
    answers = ask(rscript, CHECK, folder, jobs, environment)
    assert len(answers) == len(made) > 400
    for (what, name, path, named, message), answer in zip(made, answers, strict=True):
        if back_end == "python" and "another type" in what:
            continue  # CSV has no types: 7 in a column of texts becomes the text "7"
        assert answer.startswith(f"{path}: "), f"R accepts {what}: {answer}"
        if name != "responses":  # for which Python has its own messages, naming subjects
            for words in named:
                assert words in answer, what
            if "another type" not in what:  # each language names types its own way
                assert answer.lower() == message.lower(), what  # Inf in R, inf in Python


@pytest.mark.parametrize("missing", ["whole", "required columns"])
def test_each_language_reads_what_the_other_wrote(missing, back_end, rscript, itemwise, tmp_path):
    jobs, frames = [], {}
    for name in NAMES:
        frame = valid_table(name)
        if missing == "required columns":
            optional = [c.name for c in contract()[name].columns.values() if not c.required]
            frame = frame.drop(columns=optional)
        frames[name] = frame = with_empty_texts(frame, name)
        write(frame, tmp_path / f"{name}.parquet", name)
        paths = {"path": tmp_path / f"{name}.parquet", "copy": tmp_path / "r" / f"{name}.parquet"}
        jobs.append({"table": name} | {key: str(path) for key, path in paths.items()})
    ask(rscript, COPY, tmp_path, jobs, prepare(tmp_path, back_end, itemwise))
    for name in NAMES:
        copy = tmp_path / "r" / f"{name}.parquet"
        if back_end == "python":  # the stand-in left R's CSV there
            csv = copy.rename(copy.with_suffix(".csv"))
            converted = itemwise(
                "convert-table", "--in", csv, "--out", copy, "--table", name, *NULL
            )
            assert converted.status == 0, converted.err
        expected = read(tmp_path / f"{name}.parquet", name)
        # To the last bit: numbers in CSV have 17 digits.
        pd.testing.assert_frame_equal(read(copy, name), expected, check_exact=True)


def with_empty_texts(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Make the first of every free text empty, which is not null."""
    columns = [c for c in contract()[name].columns.values() if c.name in frame]
    free = [c.name for c in columns if c.type == "string" and not c.is_key and not c.choices]
    frame = frame.copy()
    frame.loc[frame.index[0], free] = ""
    return frame


def test_r_works_through_the_command_itself(rscript, tmp_path):
    command = Path(sys.executable).with_name("itemwise")
    environment = {"ITEMWISE_R_PARQUET": "python", "ITEMWISE_COMMAND": str(command)}
    names = ["responses", "terms"]
    jobs = []
    for name in names:
        write(with_empty_texts(valid_table(name), name), tmp_path / f"{name}.parquet", name)
        jobs.append(
            {
                "table": name,
                "path": str(tmp_path / f"{name}.parquet"),
                "copy": str(tmp_path / "r" / f"{name}.parquet"),
            }
        )
    ask(rscript, COPY, tmp_path, jobs, environment)
    for name in names:
        copy = read(tmp_path / "r" / f"{name}.parquet", name)
        expected = read(tmp_path / f"{name}.parquet", name)
        pd.testing.assert_frame_equal(copy, expected, check_exact=True)
    assert sorted(os.listdir(tmp_path / "r")) == ["responses.parquet", "terms.parquet"]

    (tmp_path / "splits.parquet").write_bytes(b"PAR1")
    jobs = [{"table": "splits", "path": str(tmp_path / "splits.parquet")}]
    (message,) = ask(rscript, CHECK, tmp_path, jobs, environment)
    assert message.startswith(f"{tmp_path}/splits.parquet: cannot be read as parquet")


def test_r_knows_every_rule_of_the_contract(rscript, tmp_path):
    code = (
        LIBRARY
        + """
    rules <- lapply(stats::setNames(nm = unlist(jobs)), \\(name) {
      lapply(table_rules(name), \\(rule) {
        rule$choices <- as.list(rule$choices)
        rule[c("type", "required", "key", "nullable", "choices", "minimum", "maximum")]
      })
    })
    jsonlite::write_json(rules, Sys.getenv("ANSWERS"), auto_unbox = TRUE, digits = NA)
    """
    )
    rules = ask(rscript, code, tmp_path, NAMES, {})
    for name in NAMES:
        expected = {
            c.name: {
                "type": c.type,
                "required": c.required,
                "key": c.is_key,
                "nullable": c.nullable,
                "choices": list(c.choices),
                "minimum": "-Inf" if c.minimum is None else c.minimum,
                "maximum": "Inf" if c.maximum is None else c.maximum,
            }
            for c in contract()[name].columns.values()
        }
        assert rules[name] == expected
