"""Lines that a broker did not acknowledge become a file of exactly these lines, which can be published again."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli import resend
from services.errors import InputError
from services.ingest.jsonl import lines
from services.stream.publish import Published

TEXT = b'{"a": 1}\n\n  \n{"b": 2}\r\n{"c": 3}\n{"d": 4}'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "traffic.jsonl"
    path.write_bytes(TEXT)
    return path


def test_lines_are_written_as_they_stand_and_whole(file: Path) -> None:
    said = resend.keep(file, resend.stamp(file), {4, 6}.__contains__, None)
    left = file.with_name("traffic.left.jsonl")
    assert left.read_bytes() == b'{"b": 2}\r\n{"d": 4}\n'
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert said.startswith(f"2 lines not acknowledged: written to {left}. `keelwatch publish {left}`")


def test_a_file_of_before_is_left_alone_and_one_that_was_named_is_not(file: Path) -> None:
    for _ in range(2):
        resend.keep(file, resend.stamp(file), {1}.__contains__, None)
    assert sorted(one.name for one in file.parent.iterdir()) == [
        "traffic.jsonl",
        "traffic.left-2.jsonl",
        "traffic.left.jsonl",
    ]
    named = str(file.with_name("mine"))
    for number in (1, 5):
        resend.keep(file, resend.stamp(file), {number}.__contains__, named)
    assert Path(named).read_bytes() == b'{"c": 3}\n'


def test_what_cannot_be_named_is_refused_before_anything_is_sent(file: Path) -> None:
    (file.parent / "link.jsonl").symlink_to(file)
    for left, why in ((file, "is the file"), (file.parent / "link.jsonl", "is the file"), (file.parent, "directory")):
        with pytest.raises(InputError, match=f"--left .*{why}"):
            resend.check_left(file, str(left))
    resend.check_left(file, None)
    assert file.read_bytes() == TEXT


def test_without_a_file_the_lines_are_told_by_number(file: Path) -> None:
    before = resend.stamp(file)
    nowhere = str(file.parent / "absent" / "left.jsonl")
    said = resend.keep(file, before, {1, 4, 5}.__contains__, nowhere)
    assert said == f"{nowhere}: No such file or directory. Not acknowledged: lines 1, 4-5"
    os.utime(file, ns=(1, 1))
    said = resend.keep(file, before, lambda number: True, None)
    assert said == f"{file} was changed meanwhile. Not acknowledged: lines 1, 4-6"
    assert list(file.parent.iterdir()) == [file]


def test_what_was_not_sent_yet_is_left_too() -> None:
    done = Published(sent=3, acknowledged=2, open={4}, last=5)
    assert [number for number in range(1, 8) if done.left(number)] == [4, 6, 7]


@given(st.lists(st.sampled_from([b"", b" ", b"[1]", b'"x\xff"', b"\r"])), st.sets(st.integers(1, 12)), st.booleans())
def test_acknowledged_and_left_lines_together_are_the_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes], left: set[int], ended: bool
) -> None:
    folder = tmp_path_factory.mktemp("left")
    file = folder / "a.jsonl"
    file.write_bytes(b"\n".join(rows) + b"\n" * ended)
    resend.keep(file, resend.stamp(file), left.__contains__, str(folder / "left"))
    wanted = [one.raw for one in lines(file) if one.position.offset in left]
    assert [one.raw for one in lines(folder / "left")] == wanted
