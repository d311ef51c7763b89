"""What is collected is the truth: undisturbed, and with faults, limits and kills."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from collecting import collect, collect_with_kills, write_models
from hub_server import TOKEN, Faults
from leaderboard_world import V1, differences

from itemwise.responses.build import SourceOptions, build_responses
from itemwise.tables.contract import read_table


@pytest.fixture(scope="module")
def collected(small_v1, tmp_path_factory):
    """Collect the small leaderboard once, undisturbed."""
    from hub_server import HubServer

    folder = tmp_path_factory.mktemp("collected")
    models = write_models(small_v1, folder)
    repositories = {
        name: type(r)(dict(r.commits), r.gated) for name, r in small_v1.repositories.items()
    }
    with HubServer(repositories) as server:
        server.changes = dict(small_v1.changes)
        record = str(folder / "record.json")
        done = collect(small_v1, server, folder, "--models", str(models), "--record", record)
        yield folder, done, server


def test_every_response_and_state_is_the_truth(small_v1, collected):
    folder, done, server = collected
    assert done.returncode == 0, done.stderr
    assert differences(small_v1, folder) == []
    assert server.counts["changed"] == len(small_v1.changes) >= 2
    assert not server.leaked_tokens
    assert any(agent.startswith("itemwise/") for agent in server.agents)


def test_only_what_is_needed_is_read(collected):
    manifest = read_table(collected[0] / "manifest.parquet", "manifest")
    large = manifest[(manifest["bytes"] > 2**20) & (manifest["state"] == "ok")]
    assert len(large)
    assert (large["bytes_read"] < 0.2 * large["bytes"]).all()


def test_manifest_tells_run_layout_and_reason(collected):
    manifest = read_table(collected[0] / "manifest.parquet", "manifest")
    read = manifest[manifest["state"] == "ok"]
    assert set(read["layout"]) == {"A", "B", "C"}
    assert read[["run", "why", "hash", "metric"]].notna().all().all()
    assert (read["retry"] == "final").all()
    assert read["why"].str.contains("most of 2 complete runs").any()
    assert read["reason"].dropna().str.contains("listed again").any()
    bad = manifest[~manifest["state"].isin(["ok"])]
    assert bad["reason"].notna().all()


def test_copies_share_a_group_and_others_have_none(small_v1, collected):
    subjects = read_table(collected[0] / "subjects.parquet", "subjects").set_index("subject")
    groups = subjects["group"].dropna()
    assert {frozenset(g.index) for _, g in groups.groupby(groups)} == set(
        map(frozenset, small_v1.copies)
    )


def test_duplicated_items_are_reported(collected):
    items = read_table(collected[0] / "hellaswag.items.parquet", "items")
    twice = items[items["duplicate_of"].notna()]
    assert len(twice) == 1
    assert twice["duplicate_of"].iloc[0] in set(items["item"])
    record = json.loads((collected[0] / "record.json").read_text())
    assert record["duplicated_items"]["hellaswag"] == 1
    assert record["without_published_score"] > 0
    arc = read_table(collected[0] / "arc.items.parquet", "items")
    assert arc["native"].str.startswith("Mercury_").all(), "the early layout tells native ids"


def test_shards_become_a_response_matrix(small_v1, collected):
    read_table(collected[0] / "arc" / "part-00000.parquet", "evaluations")
    responses, _ = build_responses([collected[0] / "arc"], SourceOptions("arc"))
    whole = [s for (s, b), state in small_v1.states.items() if b == "arc" and state == "ok"]
    assert sorted(responses.subjects) == sorted(whole)
    assert responses.matrix.shape[1] == 40


def test_a_second_run_asks_for_nothing_and_changes_nothing(small_v1, collected, hub):
    folder, _, server = collected
    before = {p: p.read_bytes() for p in folder.rglob("*.parquet")}
    counts = dict(server.counts)
    done = collect(small_v1, server, folder, "--models", str(folder / "models.csv"))
    assert done.returncode == 0, done.stderr
    assert server.counts["resolve"] == counts["resolve"]
    assert server.counts["api"] - counts["api"] <= 2, "the check, and huggingface_hub's own"
    assert {p: p.read_bytes() for p in folder.rglob("*.parquet")} == before


def test_faults_limits_and_kills_change_nothing(small_v1, tmp_path, hub):
    faults = Faults(busy=0.10, broken=0.05, short=0.02, cut=0.02)
    limits = {"api": 60, "resolve": 400}
    server = hub(small_v1, faults=faults, limits=limits, window=3.0)
    models = write_models(small_v1, tmp_path)
    happened = collect_with_kills(
        small_v1, server, tmp_path, 3, "--models", str(models), "--attempts", "8",
        "--limits", "api=60/3", "resolve=400/3",
    )  # fmt: skip
    assert happened["killed"] == 3
    assert differences(small_v1, tmp_path) == []
    assert server.excess == 0
    assert all(server.counts[name] for name in ("busy", "broken", "short", "cut"))
    manifest = read_table(tmp_path / "manifest.parquet", "manifest")
    said = " ".join(manifest["trouble"].dropna())
    for trouble in ("HTTP 429", "HTTP 50", "bytes came", "RemoteProtocolError"):
        assert trouble in said, trouble
    assert manifest["attempts"].min() >= 1


def test_limits_that_are_not_announced_are_kept_too(small_v1, tmp_path, hub):
    limits = {"api": 30, "resolve": 150}
    server = hub(small_v1, limits=limits, window=2.0, rate_headers=False)
    models = tmp_path / "few.csv"
    pd.DataFrame({"subject": small_v1.subjects[:30]}).to_csv(models, index=False)
    done = collect(
        small_v1, server, tmp_path / "c", "--models", str(models),
        "--limits", "api=30/2", "resolve=150/2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert server.excess == 0


def test_v2_sample_logs_are_the_truth(small_v2, tmp_path, hub):
    server = hub(small_v2)
    done = collect(
        small_v2, server, tmp_path, "--source", "v2", "--models", "organization", token=TOKEN
    )
    assert done.returncode == 0, done.stderr
    assert differences(small_v2, tmp_path) == []
    assert TOKEN.encode() not in (tmp_path / "manifest.sqlite").read_bytes()
    assert server.leaked_tokens == 0


def test_gated_is_final_until_a_token_comes(small_v2, tmp_path, hub):
    server = hub(small_v2)
    models = write_models(small_v2, tmp_path)
    collection = tmp_path / "collection.parquet"
    arguments = ("--source", "v2", "--models", str(models))
    assert collect(small_v2, server, tmp_path, *arguments).returncode == 0
    assert set(pd.read_parquet(collection)["state"]) == {"gated"}
    asked = server.counts["api"]
    collect(small_v2, server, tmp_path, *arguments)
    assert server.counts["api"] - asked <= 2
    assert collect(small_v2, server, tmp_path, *arguments, token=TOKEN).returncode == 0
    assert differences(small_v2, tmp_path) == []


def test_sample_logs_of_any_repository(small_v2, tmp_path, hub):
    server = hub(small_v2)
    name = sorted(server.repositories)[0]
    logs = dict(next(iter(server.repositories[name].commits.values())))
    other = sorted(server.repositories)[1]
    logs |= as_lists(next(iter(server.repositories[other].commits.values())))
    server.repositories["team/logs"] = type(server.repositories[name])()
    server.repositories["team/logs"].commit(logs)
    done = collect(
        small_v2, server, tmp_path, "--source", "samples", "--repositories", "team/logs",
        "--benchmarks", "leaderboard_ifeval",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    long = read_table(tmp_path / "leaderboard_ifeval" / "part-00000.parquet", "evaluations")
    assert long.groupby("subject").size().to_dict() == {"org0/chat-000": 24, "org0/chat-005": 24}


def as_lists(logs: dict) -> dict:
    """Return logs as the harness wrote them in May and June 2024."""
    return {
        path.removesuffix("l") if path.endswith(".jsonl") else path:
        b"[" + b",".join(content.splitlines()) + b"]" if path.endswith(".jsonl") else content
        for path, content in logs.items()
    }  # fmt: skip


def test_lists_from_contents_and_results(small_v1, tmp_path, hub):
    import io

    server = hub(small_v1)
    few = [s for s in small_v1.subjects if "/" in s][:4]
    file = io.BytesIO()
    pd.DataFrame(
        {"fullname": few, "Model sha": "main", "Precision": "float16", "#Params (B)": 7.0,
         "Architecture": "Llama", "Merged": False, "Submission Date": "2024-01-02"}
    ).to_parquet(file)  # fmt: skip
    make = type(next(iter(server.repositories.values())))
    server.repositories[f"{V1}/contents"] = make()
    server.repositories[f"{V1}/contents"].commit({"data/train-0.parquet": file.getvalue()})
    server.repositories[f"{V1}/results"] = make()
    server.repositories[f"{V1}/results"].commit({f"{s}/results_2024-01.json": b"{}" for s in few})
    for origin in ("contents", "results"):
        folder = tmp_path / origin
        done = collect(small_v1, server, folder, "--models", origin)
        assert done.returncode == 0, done.stderr
        subjects = read_table(folder / "subjects.parquet", "subjects").set_index("subject")
        assert sorted(subjects.index) == sorted(few)
        if origin == "contents":
            assert set(subjects["parameters"]) == {7e9}
            assert set(subjects["date"]) == {"2024-01-02"}
            assert set(subjects["family"]) == {"Llama"}
