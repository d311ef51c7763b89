"""What users and machines get wrong, and what they are told."""

from __future__ import annotations

import errno
import time

import pandas as pd
import pytest
from collecting import collect, write_models
from hub_server import TOKEN, HubServer
from leaderboard_world import V2, differences

from itemwise.collect import shards
from itemwise.collect.manifest import Manifest
from itemwise.errors import UserError


def test_unknown_benchmark_names_the_nearest(itemwise, tmp_path):
    done = itemwise("scrape-leaderboard", "--benchmarks", "helaswag", "--folder", tmp_path)
    assert done.status == 2
    assert "has no 'helaswag'; did you mean 'hellaswag'?" in done.err


def test_wrong_endpoints(small_v2, tmp_path, hub):
    server = hub(small_v2)

    class Closed:
        endpoint = "http://127.0.0.1:9"

    class NoAddress:
        endpoint = "huggingface.co"

    class NoHub:
        endpoint = f"{server.endpoint}/elsewhere"

    said = {
        Closed: "does not answer",
        NoAddress: "'huggingface.co' is no address; write https://host",
        NoHub: "is no hub (HTTP 404); check HF_ENDPOINT",
    }
    for wrong, message in said.items():
        done = collect(small_v2, wrong, tmp_path, "--source", "v2", "--attempts", "2")
        assert done.returncode == 2
        assert message in done.stderr


def test_gated_list_without_token_and_a_refused_token(small_v2, tmp_path, hub):
    server = hub(small_v2)
    make = type(next(iter(server.repositories.values())))
    server.repositories[f"{V2}/contents"] = make(gated=True)
    server.repositories[f"{V2}/contents"].commit({"data/x.parquet": b"x"})
    done = collect(small_v2, server, tmp_path, "--source", "v2")
    assert done.returncode == 2
    assert "accept its conditions on the hub and set HF_TOKEN" in done.stderr
    done = collect(small_v2, server, tmp_path, "--source", "v2", token="hf_wrong")
    assert done.returncode == 2
    assert "refuses the token" in done.stderr
    assert "hf_wrong" not in done.stderr + done.stdout


def test_lists_that_name_nobody(small_v2, tmp_path, hub):
    server = hub(small_v2)
    table = tmp_path / "list.csv"
    table.write_text("who\na/b\n")
    for models, message in (
        (str(table), "has no column with the models' names (it has who)"),
        (str(tmp_path / "none.csv"), "no such file"),
        ("results", "HTTP 404 RepoNotFound; check --organization"),
    ):
        done = collect(small_v2, server, tmp_path, "--source", "v2", "--models", models)
        assert done.returncode == 2
        assert message in done.stderr


def test_a_name_that_no_repository_can_have_is_missing(small_v2, tmp_path, hub):
    server = hub(small_v2)
    table = tmp_path / "list.csv"
    table.write_text(f"subject\n{small_v2.subjects[0]}\na b/c d\n")
    arguments = ("--source", "v2", "--models", str(table))
    assert collect(small_v2, server, tmp_path, *arguments, token=TOKEN).returncode == 0
    table = pd.read_parquet(tmp_path / "collection.parquet").set_index("subject")
    assert set(table.loc["a b/c d", "state"]) == {"missing"}
    assert set(table.loc[small_v2.subjects[0], "state"]) == {"ok"}


def test_full_manifest_keeps_what_it_has(small_v2, tmp_path, hub):
    server = hub(small_v2)
    models = write_models(small_v2, tmp_path)
    arguments = ("--source", "v2", "--models", str(models))
    done = collect(small_v2, server, tmp_path, *arguments, "--max-disk", "0.00008", token=TOKEN)
    assert done.returncode == 2
    assert "full; free space or raise --max-disk, and run again" in done.stderr
    asked = server.counts["resolve"]
    assert asked
    done = collect(small_v2, server, tmp_path, *arguments, token=TOKEN)
    assert done.returncode == 0, done.stderr
    assert differences(small_v2, tmp_path) == []


def test_full_disk_leaves_no_half_shard(small_v2, tmp_path, hub, monkeypatch):
    server = hub(small_v2)
    models = write_models(small_v2, tmp_path)
    arguments = ("--source", "v2", "--models", str(models))

    def full(table, path):
        path.write_bytes(b"PAR1 half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shards, "write_parquet", full)
        done = collect(small_v2, server, tmp_path, *arguments, token=TOKEN)
    assert done.returncode == 2
    assert "(No space left on device); free space there and run again" in done.stderr
    assert [p.name for p in tmp_path.rglob("*.tmp")] == []
    assert list(tmp_path.rglob("part-*")) == []
    asked = server.counts["resolve"]
    assert collect(small_v2, server, tmp_path, *arguments, token=TOKEN).returncode == 0
    assert server.counts["resolve"] == asked, "what was read is kept"
    assert differences(small_v2, tmp_path) == []


def test_a_clock_that_goes_backwards_changes_nothing(small_v2, tmp_path, hub, monkeypatch):
    server = hub(small_v2, limits={"api": 12, "resolve": 60}, window=1.0)
    models = write_models(small_v2, tmp_path)
    real, began = time.time, time.time()
    monkeypatch.setattr(time, "time", lambda: began - 50 * (real() - began))
    done = collect(
        small_v2, server, tmp_path, "--source", "v2", "--models", str(models),
        "--limits", "api=12/1", "resolve=60/1", token=TOKEN,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert server.excess == 0
    assert differences(small_v2, tmp_path) == []


def test_pending_is_reported_by_the_exit_status(small_v2, tmp_path, hub):
    from hub_server import Faults

    few = tmp_path / "few.csv"
    pd.DataFrame({"subject": small_v2.subjects[:3]}).to_csv(few, index=False)
    server: HubServer = hub(small_v2)
    arguments = ("--source", "v2", "--models", str(few), "--attempts", "2")
    server.faults = Faults(broken=0.45)
    done = None
    for seed in range(20):  # until the first question is answered and others are not
        server.random.seed(seed)
        done = collect(small_v2, server, tmp_path, *arguments, token=TOKEN)
        if done.returncode == 1:
            break
    assert done.returncode == 1
    assert "left pending; run the same command again" in done.stderr
    manifest = pd.read_parquet(tmp_path / "manifest.parquet")
    pending = manifest[manifest["state"] == "pending"]
    assert (pending["retry"] == "retryable").all()
    assert pending["reason"].str.contains("HTTP 50").any()
    server.faults = Faults()
    assert collect(small_v2, server, tmp_path, *arguments, token=TOKEN).returncode == 0


def test_one_collector_a_manifest(tmp_path):
    path = tmp_path / "manifest.sqlite"
    first = Manifest(path, "v1")
    first.register([])
    with pytest.raises(UserError, match="another collector is using it"):
        Manifest(path, "v1")
    first.close()
    with pytest.raises(UserError, match="choose another --folder"):
        Manifest(path, "v2")
    path.write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(UserError, match="it is no manifest"):
        Manifest(path, "v1")


def test_retry_opens_a_state_again(small_v2, tmp_path, hub):
    server = hub(small_v2)
    lost = sorted(server.repositories)[0]
    kept = server.repositories.pop(lost)
    models = write_models(small_v2, tmp_path)
    arguments = ("--source", "v2", "--models", str(models))
    assert collect(small_v2, server, tmp_path, *arguments, token=TOKEN).returncode == 0
    table = pd.read_parquet(tmp_path / "collection.parquet")
    assert (table["state"] == "missing").sum() == 3
    server.repositories[lost] = kept
    collect(small_v2, server, tmp_path, *arguments, token=TOKEN)
    assert (pd.read_parquet(tmp_path / "collection.parquet")["state"] == "missing").sum() == 3
    collect(small_v2, server, tmp_path, *arguments, "--retry", "missing", token=TOKEN)
    assert differences(small_v2, tmp_path) == []


def test_dry_run_says_what_would_be_asked_and_reads_nothing(small_v1, tmp_path, hub):
    server = hub(small_v1)
    models = write_models(small_v1, tmp_path)
    done = collect(small_v1, server, tmp_path, "--models", str(models), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert server.counts["resolve"] == 0
    assert f"repositories   {len(small_v1.subjects):>14}" in done.stdout
    assert "hours at least" in done.stdout
    assert not list(tmp_path.glob("*.parquet"))
