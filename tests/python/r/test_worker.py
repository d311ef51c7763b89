"""R in a process of its own: answers, errors, crashes and time-outs."""

import numpy as np
import pandas as pd
import pytest

from itemwise.errors import UserError
from itemwise.r import worker
from itemwise.r.worker import RError, RWorker
from itemwise.responses.matrix import Responses

pytest.importorskip("rpy2", reason="rpy2: not installed (make setup)")


@pytest.fixture(scope="module")
def r():
    try:
        worker = RWorker("itemwise/load.R", timeout=60)
    except UserError as error:
        pytest.skip(str(error))
    with worker:
        yield worker


def test_values_go_there_and_back(r):
    assert r.call("list", a=1, b="x", c=None, d=[1.5, 2.0], e=True) == {
        "a": 1,
        "b": "x",
        "c": None,
        "d": [1.5, 2.0],
        "e": True,
    }


def test_lists_of_one_stay_lists(r):
    assert r.call("I", x=["alone"]) == ["alone"]
    assert r.call("identity", x=["alone"]) == "alone"


def test_data_frames_keep_their_nulls(r):
    frame = pd.DataFrame({"n": [1, 2], "text": ["u", None], "x": [1.5, np.nan]})
    back = r.call("identity", x=frame)
    assert back["n"].tolist() == [1, 2]
    assert back["text"].tolist()[0] == "u"
    assert back[["text", "x"]].isna().to_numpy().tolist() == [[False, False], [True, True]]


def test_responses_become_a_named_matrix_with_na(r):
    data = Responses(
        np.array(["m1", "m2"], object),
        np.array(["q1", "q2", "q3"], object),
        np.array([[1, 0, -1], [0, 1, 1]], np.int8),
    )
    assert r.call("colSums", x=data) == [1.0, 1.0, None]
    assert r.call("dimnames", x=data) == [["m1", "m2"], ["q1", "q2", "q3"]]


def test_functions_of_the_libraries_can_be_called(r):
    assert r.call("format_list", values=["a", "b"]) == "a, b"


def test_an_r_error_has_rs_words_and_the_worker_lives_on(r):
    with pytest.raises(RError, match="boo hoo"):
        r.call("stop", x="boo hoo")
    with pytest.raises(RError, match="R has no function 'nonesuch'"):
        r.call("nonesuch")
    assert r.call("sum", x=[1, 2]) == 3


def test_messages_go_to_pythons_log(r, caplog):
    with caplog.at_level("INFO", logger="itemwise.r.worker"):
        r.call("message", x="one message")
        r.call("message", x="another")
    said = [record.message for record in caplog.records]
    assert ["one message" in said[0], "another" in said[1]] == [True, True]
    assert len(said) == 2


def test_messages_go_to_a_file(tmp_path):
    with RWorker(log=tmp_path / "r.log") as worker:
        worker.call("message", x="a message")
        worker.call("print", x="printed")
    text = (tmp_path / "r.log").read_text()
    assert "a message" in text
    assert "printed" in text


def test_a_crash_of_r_is_an_error_here():
    with RWorker() as worker, pytest.raises(RError, match=r"R crashed \(exit status -11\)"):
        worker.call("system", command="kill -SEGV $PPID")


def test_a_call_that_takes_too_long_is_stopped():
    with RWorker() as worker:
        worker.timeout = 0.5
        with pytest.raises(RError, match=r"R gave no answer within 0\.5 seconds"):
            worker.call("Sys.sleep", time=30)
        assert worker._process.wait(timeout=10) != 0


def test_missing_r_is_said(monkeypatch):
    monkeypatch.setattr(worker.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="R is not installed; `itemwise doctor`"):
        RWorker()


def test_missing_rpy2_is_said(monkeypatch):
    monkeypatch.setattr(worker.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="rpy2 is not installed"):
        RWorker()
