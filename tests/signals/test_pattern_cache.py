"""Compiled patterns are kept for the next process, and whatever lies in the cache changes no answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.settings import Settings
from services.signals._hyperscan import CompiledPatterns, keep_compiled
from services.wiring.compiled_patterns import PatternFolder

SOURCES = ("never", r"sk-[a-z]{4}", "naïve")
TEXT = "Never say sk-abcd, however naïve.".encode()


def matches(patterns: CompiledPatterns) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    patterns.scan(TEXT, lambda pattern, _, end: found.append((pattern, end)))
    return found


def fresh(monkeypatch: pytest.MonkeyPatch) -> tuple[CompiledPatterns, list[int]]:
    """The patterns as a new process has them, and how often they were compiled."""
    patterns = CompiledPatterns(SOURCES, ("HS_FLAG_CASELESS",))
    compiled: list[int] = []
    compile_patterns = patterns.compile

    def counted() -> Any:
        compiled.append(1)
        return compile_patterns()

    monkeypatch.setattr(patterns, "compile", counted)
    return patterns, compiled


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    keep_compiled(PatternFolder(tmp_path / "cache" / "patterns"))
    yield tmp_path / "cache" / "patterns"
    keep_compiled(None)


def test_the_next_process_loads_what_the_first_one_compiled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, compiled = fresh(monkeypatch)
    expected = matches(first)
    assert [pattern for pattern, _ in expected] == [0, 1, 2]
    assert compiled == [1]
    second, compiled = fresh(monkeypatch)
    assert matches(second) == expected
    assert compiled == []
    assert folder.stat().st_mode & 0o077 == 0
    other = CompiledPatterns(SOURCES[1:], ("HS_FLAG_CASELESS",))  # other patterns have a file of their own
    assert [pattern for pattern, _ in matches(other)] == [0, 1]
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "altered", "of something else", "a folder"])
def test_what_is_not_whole_is_compiled_again(damage: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = fresh(monkeypatch)
    expected = matches(first)
    [file] = folder.iterdir()
    raw = file.read_bytes()
    file.unlink()
    if damage == "a folder":
        file.mkdir()
    else:
        altered = raw[:40] + bytes([raw[40] ^ 1]) + raw[41:]
        file.write_bytes({"empty": b"", "cut": raw[:-9], "altered": altered, "of something else": bytes(99)}[damage])
    second, compiled = fresh(monkeypatch)
    assert matches(second) == expected
    assert compiled == [1]
    if damage != "a folder":
        assert file.read_bytes() == raw  # and is whole for the next one


@pytest.mark.parametrize("place", ["/proc/nowhere/patterns", "/dev/null/patterns"])
def test_without_a_place_for_it_the_patterns_are_compiled(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_compiled(PatternFolder(Path(place)))
    try:
        patterns, compiled = fresh(monkeypatch)
        assert len(matches(patterns)) == 3
        assert compiled == [1]
    finally:
        keep_compiled(None)


def test_the_cache_is_where_the_user_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEELWATCH_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert Settings(data_dir=Path("/data")).caches is None
    monkeypatch.setenv("HOME", "/home/mara")
    assert Settings().caches == Path("/home/mara/.cache/keelwatch")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/mara")
    assert Settings().caches == Path("/var/cache/mara/keelwatch")
    monkeypatch.setenv("KEELWATCH_CACHE_DIR", "/srv/cache")
    assert Settings().caches == Path("/srv/cache")


def test_the_folder_does_not_grow_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    for number in range(70):
        (folder / f"old-{number}").write_text("")
    first, _ = fresh(monkeypatch)
    matches(first)
    assert len(list(folder.iterdir())) == 64
    second, compiled = fresh(monkeypatch)
    matches(second)
    assert compiled == []
