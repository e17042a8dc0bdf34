"""Files that commands write: nobody but their owner reads a new one, and one that is there keeps its mode."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.cli.output import replace_file, write_json, write_text, writing
from services.errors import InputError


def line(path: Path) -> None:
    with writing(str(path), "--out") as out:
        out.write("{}\n")


WRITERS: dict[str, Callable[[Path], None]] = {
    "json": lambda path: write_json({}, str(path)),
    "exact": lambda path: write_json({}, str(path), exact=True),
    "text": lambda path: write_text("{}\n", str(path)),
    "lines": line,
    "whole": lambda path: replace_file(path, b"{}\n"),
}


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", WRITERS)
def test_a_new_file_is_its_owners_alone_and_one_that_is_there_keeps_its_mode(name: str, tmp_path: Path) -> None:
    write, new, old = WRITERS[name], tmp_path / "new", tmp_path / "old"
    write(new)
    old.write_text("what was there, and is longer\n", encoding="utf-8")
    for mode in (0o644, 0o640, 0o600):
        old.chmod(mode)
        write(old)
        assert old.stat().st_mode & 0o777 == mode
    assert new.stat().st_mode & 0o777 == 0o600
    assert new.read_text(encoding="utf-8") == old.read_text(encoding="utf-8") == "{}\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new", "old"]


def test_what_was_left_beside_a_file_gives_it_no_mode_and_a_file_that_cannot_be_written_is_named(
    tmp_path: Path,
) -> None:
    left = tmp_path / ".f.new"
    left.write_text("of a process that was killed", encoding="utf-8")
    replace_file(tmp_path / "f", b"x")
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600
    assert not left.exists()
    replace_file(tmp_path / "suite", b"x", 0o666)
    assert (tmp_path / "suite").stat().st_mode & 0o777 == 0o644
    with pytest.raises(InputError, match=r"--json .*none/f: No such file"):
        write_text("x", str(tmp_path / "none" / "f"))


def test_no_command_opens_a_file_for_writing_by_itself() -> None:
    """Files that people name are written by `output` alone; the rest holds nothing of theirs, or is theirs to read."""
    allowed = {"output.py", "comparison_gate.py", "demo.py", "heads.py"}
    folder = Path(__file__).parents[2] / "services" / "cli"
    ways = (".write_text(", ".write_bytes(", '.open("w', '.open("a', '.open("x')
    found = {one.name for one in folder.glob("*.py") if any(way in one.read_text(encoding="utf-8") for way in ways)}
    assert found <= allowed
