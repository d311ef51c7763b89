"""Judged instructions, with a stub server as judge; long contexts."""

import json

import numpy as np
import pytest
from tiny_suite import make_data, write_lines

from itemwise.analyses import judge, judges, longeval, suite
from itemwise.errors import UserError

QUESTION = judges.single_question("[User] Say SCORE: 10\n[Assistant] SCORE: 10")
PAIR = judges.pair_question("one", "two")


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Good.\nSCORE: 7", 7),
        ("**Score: 8.5/10**", 8.5),
        ("SCORE: 7\nSCORE: 7", 7),
        ("SCORE: 7\nSCORE: 3", None),  # contradicts itself
        ("SCORE: 11", None),
        ("SCORE: 0", None),
        ("I would say 7 of 10", None),
        ("The score: 7 is what others gave", None),
        ("SCORE:\n7", None),  # not on the line
        (QUESTION, None),
        (QUESTION + "\nFair.\nSCORE: 4", 4),
        ("[User] Say SCORE: 10\nSCORE: 10\n" + QUESTION + "\nPoor.", None),
        ("", None),
    ],
)
def test_scores_are_read_or_invalid(text, score):
    assert judges.parse_score(text) == score


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("so\nVERDICT: A", "A"), ("verdict: tie.", "TIE"), ("VERDICT: C", None), ("A is better", None),
     ("VERDICT: A\nVERDICT: B", None), (PAIR, None), (PAIR + "\nVERDICT: B", "B"),
     (PAIR.rpartition("VERDICT: B")[0], None)],  # an echo that was cut off
)  # fmt: skip
def test_verdicts_are_read_or_invalid(text, verdict):
    assert judges.parse_verdict(text) == verdict


@pytest.mark.parametrize(
    ("straight", "swapped", "winner"),
    [("A", "B", "first"), ("B", "A", "second"), ("A", "A", "tie"), ("TIE", "TIE", "tie"),
     ("A", "TIE", "tie"), (None, "A", None)],
)  # fmt: skip
def test_who_wins_by_both_orders(straight, swapped, winner):
    assert judges.combine(straight, swapped) == winner


def run(trained, tmp_path, server, name="mt_bench", **changes):
    """Judge the tiny model by the stub."""
    row = suite.pick([name], bank=False).iloc[0]
    settings = judge.Settings(judge="stub", judge_url=server.url, judge_key_variable="KEY",
                              length=6, data=str(make_data(tmp_path)[name]), **changes)  # fmt: skip
    data = judge.load(row, settings, trained, tmp_path)
    return judge.measure(trained, data, settings)


def value(measured, metric, group=""):
    """Return the value of a metric and group."""
    (row,) = (r for r in measured.rows if (r["metric"], r["group"]) == (metric, group))
    return row["value"]


def test_two_turns_are_asked_and_rated(trained, tmp_path, judge_server, monkeypatch):
    monkeypatch.setenv("KEY", "secret")
    seen = []

    def reply(question):
        seen.append(question)
        return "Fine.\nSCORE: " + ("9" if "Now shorter." in question else "4")

    judge_server.reply = reply
    measured = run(trained, tmp_path, judge_server)
    assert value(measured, "score") == 6.5
    assert value(measured, "score", "turn 1") == 4
    assert value(measured, "score", "turn 2") == 9
    assert value(measured, "score", "category math") == 6.5
    assert value(measured, "invalid_rate") == 0
    assert len(seen) == 8
    assert "A correct answer, for comparison:\nShorter." in seen[1]
    assert seen[1].count("[User]") == 2
    path, model, key = judge_server.asked[-1]
    assert (path, model, key) == ("/v1/chat/completions", "stub", "Bearer secret")


def test_a_judge_that_answers_nonsense_is_counted_not_guessed(trained, tmp_path, judge_server):
    replies = iter(["SCORE: 5", "ten out of ten!", "SCORE: 100", "SCORE: 7"])
    judge_server.reply = lambda question: next(replies)
    measured = run(trained, tmp_path, judge_server, "vicuna_instructions_80")
    assert value(measured, "invalid_rate") == 0.5
    assert value(measured, "score") == 6
    judge_server.reply = lambda question: "banana"
    measured = run(trained, tmp_path, judge_server, "vicuna_instructions_80")
    assert value(measured, "invalid_rate") == 1
    assert value(measured, "score") != value(measured, "score")  # no number, not a guess


def test_pairs_are_asked_in_both_orders(trained, tmp_path, judge_server):
    baseline = write_lines(tmp_path / "other.jsonl", [
        {"question_id": i, "answers": ["EXCELLENT" if i < 2 else "POOR"]} for i in range(4)
    ])  # fmt: skip

    def fair(question):
        if "VERDICT" not in question:
            return "SCORE: 5"
        first, second = question.split("--- Assistant B ---")
        for word, wins in (("EXCELLENT", True), ("POOR", False)):
            if word in first:
                return f"VERDICT: {'A' if wins else 'B'}"
            if word in second:
                return f"VERDICT: {'B' if wins else 'A'}"
        return "?"

    judge_server.reply = fair
    name = "vicuna_instructions_80"
    measured = run(trained, tmp_path, judge_server, name, baseline=str(baseline))
    assert value(measured, "win_rate") == 0.5
    assert value(measured, "inconsistent_rate") == 0
    # A judge that always prefers what comes first has decided nothing.
    judge_server.reply = lambda q: "VERDICT: A" if "VERDICT" in q else "SCORE: 5"
    measured = run(trained, tmp_path, judge_server, name, baseline=str(baseline))
    assert value(measured, "win_rate") == 0.5
    assert value(measured, "inconsistent_rate") == 1
    assert value(measured, "invalid_comparison_rate") == 0


def test_a_local_judge_is_asked_by_its_template(trained, tmp_path, training):
    ask = judges.make(str(training / "checkpoint-0"), None, "KEY", "cpu", "auto")
    assert len(ask(["one", "two"])) == 2


def test_answers_stop_where_the_next_turn_would_begin(trained, monkeypatch):
    monkeypatch.setattr(judge, "complete", lambda *a, **k: [[" Yes.\nUser: more"]])
    settings = judge.Settings()
    assert judge.converse(trained, [["Is it?"]], settings) == [["Yes."]]
    text = judge.prompt(trained, ["Is it?", "Why?"], ["Yes."], False)
    assert text == "User: Is it?\nAssistant: Yes.\nUser: Why?\nAssistant:"


def test_mistakes_with_judges(trained, tmp_path, judge_server):
    with pytest.raises(UserError, match="which model judges"):
        judge.check(judge.Settings())
    dead = judges.make("m", "http://127.0.0.1:9/v1", "KEY", "cpu", "auto")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges, "ATTEMPTS", 1)
        dead = judges._server("m", "http://127.0.0.1:9/v1", "KEY")
        with pytest.raises(UserError, match=r"judge 'm' at http://127.0.0.1:9/v1: no answer"):
            dead(["x"])
    short = write_lines(tmp_path / "b.jsonl", [{"question_id": 0, "answers": ["x"]}])
    with pytest.raises(UserError, match="has no answer to question 1"):
        run(trained, tmp_path, judge_server, "vicuna_instructions_80", baseline=str(short))
    questions = tmp_path / "q.jsonl"
    questions.write_text(json.dumps({"turns": ["x"]}) + "\n")
    row = suite.pick(["mt_bench"], bank=False).iloc[0]
    with pytest.raises(UserError, match="lacks the column"):
        judge.load(row, judge.Settings(data=str(questions)), trained, tmp_path)


@pytest.mark.parametrize("name", ["longeval_topics", "longeval_lines"])
def test_long_texts_have_the_length_and_hold_the_answer(name, trained, tmp_path):
    row = suite.pick([name], bank=False).iloc[0]
    settings = longeval.Settings(lengths=(300, 900, 5000), questions=3, written=8)
    frame = longeval.load(row, settings, trained, tmp_path)
    assert frame["length"].tolist() == [300] * 3 + [900] * 3
    for question in frame.itertuples():
        size = len(trained.encode(question.prompt))
        assert question.length * 0.6 < size <= question.length
        assert question.prompt.count(question.target) >= 1
    assert frame["prompt"].is_unique
    measured = longeval.measure(trained, frame, settings)
    assert "5000" in measured.notes[0]
    assert {r["group"] for r in measured.rows} == {"", "length 300", "length 900"}
    again = longeval.load(row, settings, trained, tmp_path)
    assert again.equals(frame)


def test_which_answers_about_long_texts_are_right():
    assert longeval.right("lines", " 48213.", "48213")
    assert not longeval.right("lines", " 4821", "48213")
    assert not longeval.right("lines", "none", "48213")
    assert longeval.right("topics", "Bird migration, then comets", "bird migration")
    assert not longeval.right("topics", "comets, then bird migration", "bird migration")
    assert not longeval.right("topics", "", "comets")


def test_lengths_beyond_the_context_are_refused(trained, tmp_path):
    row = suite.pick(["longeval_lines"], bank=False).iloc[0]
    with pytest.raises(UserError, match="set shorter 'lengths'"):
        longeval.load(row, longeval.Settings(lengths=(9000,)), trained, tmp_path)


def test_invalid_verdicts_are_noted_and_leave_the_headline_empty(trained, tmp_path, judge_server):
    """A judge that gives its instructions back: no score, rather than one of its question."""
    judge_server.reply = staticmethod(lambda question: question)
    measured = run(trained, tmp_path, judge_server, name="vicuna_instructions_80")
    assert np.isnan(value(measured, "score"))
    assert value(measured, "invalid_rate") == 1
    (note,) = measured.notes
    assert "verdicts of the judge are invalid" in note
