"""A file is whole or absent, whatever happens while it is written."""

import errno
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from itemwise.errors import UserError
from itemwise.tables.files import atomic_path, read_record, write_record, write_text


def test_new_file_replaces_the_old_one_only_when_complete(tmp_path):
    path = tmp_path / "deep" / "t.txt"
    write_text("old", path)
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # a rename across file systems is a copy
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["t.txt"]


def test_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "t.txt"
    write_text("old", path)

    def write_half():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert os.listdir(tmp_path) == ["t.txt"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_kill_in_the_middle_leaves_the_old_file(number, tmp_path):
    path = tmp_path / "t.txt"
    write_text("old", path)
    code = (
        "import os, sys; from itemwise.tables.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), int(sys.argv[2]))\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, path, str(int(number))])
    assert killed.returncode == -number
    assert path.read_text() == "old"
    write_text("new", path)  # what the killed process left is not in the way
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, r"\(No space left on device\); free space there and run again"),
        (errno.EROFS, r"\(Read-only file system\); make it writable"),
    ],
)
def test_refusal_of_the_system_names_file_and_remedy(number, remedy, tmp_path):
    def write_on_full_disk():
        with atomic_path(tmp_path / "t.txt") as temporary:
            temporary.write_text("half")
            raise OSError(number, os.strerror(number))

    with pytest.raises(UserError, match=rf"t\.txt: cannot be written {remedy}"):
        write_on_full_disk()
    assert os.listdir(tmp_path) == []


def test_error_about_another_file_stays_its_own(tmp_path):
    def read_what_is_forbidden():
        with atomic_path(tmp_path / "t.txt"):
            raise PermissionError(errno.EACCES, "Permission denied", "other.csv")

    with pytest.raises(PermissionError, match=r"other\.csv"):
        read_what_is_forbidden()


def test_place_that_cannot_be_written_is_the_users_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot create its folder .*; choose another --out"):
        write_text("x", tmp_path / "file" / "t.txt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"folder: is a folder; choose another --out"):
        write_text("x", tmp_path / "folder")
    assert os.listdir(tmp_path / "folder") == []


def test_record_comes_back(tmp_path):
    record = {
        "text": "é",
        "number": np.float64(0.1),
        "count": np.int64(3),
        "list": np.array([1.5, np.nan, np.inf]),
        "nested": {"yes": np.bool_(True), "none": None, "tuple": (1, "a")},
    }
    write_record(record, tmp_path / "r.json")
    assert read_record(tmp_path / "r.json") == {
        "text": "é",
        "number": 0.1,
        "count": 3,
        "list": [1.5, None, None],  # JSON has neither nan nor infinity
        "nested": {"yes": True, "none": None, "tuple": [1, "a"]},
    }


def test_record_that_cannot_be_read_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="no such file; run the stage that writes it first"):
        read_record(tmp_path / "none.json")
    (tmp_path / "r.json").write_text('{"a": 1,\n "b"')
    with pytest.raises(UserError, match=r"r.json: line 2: not JSON"):
        read_record(tmp_path / "r.json")
