"""`keelwatch mcp` before it serves: what is missing or wrong is said in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

Run = Callable[..., tuple[int, str, str]]


def test_without_the_extra_it_says_what_to_install(keelwatch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one == "services.mcp.server" or one.partition(".")[0] == "mcp"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)
    code, out, err = keelwatch("mcp")
    assert (code, out) == (2, "")
    assert "install keelwatch[mcp]" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("place", ["8401", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "http://127.0.0.1:8401", ""])
def test_a_place_that_is_none_is_refused(keelwatch: Run, place: str) -> None:
    code, _, err = keelwatch("mcp", "--listen", place)
    assert (code, err.count("\n")) == (2, 1)
    assert "HOST:PORT" in err


def test_a_key_that_is_none_is_refused(keelwatch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEELWATCH_API_KEY", "sk-nothing")
    code, out, err = keelwatch("mcp")
    assert (code, out, "KEELWATCH_API_KEY" in err, "sk-nothing" in err) == (2, "", True, False)
