"""Made-up leaderboards behind a hub on this machine."""

import socket
from unittest.mock import patch

import pytest
from hub_server import HubServer
from leaderboard_world import make_v1, make_v2


@pytest.fixture(scope="session", autouse=True)
def only_this_machine():
    """Refuse every connection to another machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        assert self.family == socket.AF_UNIX or address[0] == "127.0.0.1", address
        return connect(self, address)

    with patch.object(socket.socket, "connect", guarded):
        yield


@pytest.fixture(scope="session")
def small_v1():
    """Return a leaderboard v1 with every kind of model."""
    return make_v1(63, with_mmlu=100, mmlu_traps=21)


@pytest.fixture(scope="session")
def small_v2():
    return make_v2(13)


@pytest.fixture
def hub():
    """Return a function that starts a hub."""
    servers = []

    def start(world, **options) -> HubServer:
        repositories = {
            name: type(r)(dict(r.commits), r.gated) for name, r in world.repositories.items()
        }
        server = HubServer(repositories, **options)
        server.changes = dict(world.changes)
        servers.append(server.__enter__())
        return server

    yield start
    for server in servers:
        server.__exit__()
