"""Tiny checkpoints of one training, and small data of the real form."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


@pytest.fixture(scope="session")
def training(harness, tmp_path_factory):
    """Return the folder of a training: checkpoint-0, -20, -60."""
    from tiny_suite import SEQUENCES, make_checkpoints

    return make_checkpoints(tmp_path_factory.mktemp("lab") / "run", SEQUENCES[:4])


@pytest.fixture(scope="session")
def load_tiny(training):
    """Return a function that loads a checkpoint of the training."""
    from itemwise.analyses.model import load
    from itemwise.harness.model import LanguageModel

    def make(step: int, batch_size: int = 8):
        folder = training / f"checkpoint-{step}"
        return load(LanguageModel(str(folder), device="cpu", batch_size=batch_size),
                    float(step), 500.0)  # fmt: skip

    return make


@pytest.fixture(scope="session")
def fresh(load_tiny):
    """Return the untrained checkpoint."""
    return load_tiny(0)


@pytest.fixture(scope="session")
def trained(load_tiny):
    """Return the checkpoint that knows its training texts by heart."""
    return load_tiny(60)


@pytest.fixture(scope="session")
def judge_server():
    """Start a stub of an OpenAI-compatible server; its `reply` says what it answers."""
    import json

    class Stub:
        reply = staticmethod(lambda question: "SCORE: 7")
        asked: list = []  # noqa: RUF012

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            question = body["messages"][0]["content"]
            Stub.asked.append((self.path, body["model"], self.headers.get("Authorization")))
            answer = {"choices": [{"message": {"content": Stub.reply(question)}}]}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Stub.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield Stub
    server.shutdown()


@pytest.fixture(scope="session")
def suite_settings(harness, judge_server, tmp_path_factory):
    """Return the settings of every row on small data, judged by the stub."""
    from tiny_suite import settings

    return settings(tmp_path_factory.mktemp("data"), judge_server.url)
