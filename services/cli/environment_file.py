"""The file `.env` that `keelwatch init` writes, for a shell and for compose alike. Pure.

Of one that was there every line stays as it is, whatever quotes, comments and bytes it holds: shell and compose read
values differently, and whoever reads one to write it anew can lose a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from services.errors import InputError
from services.wording.onboarding import open_quote

_LINE: Final = re.compile(
    r"\ufeff?[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=(?P<value>.*)", re.DOTALL
)
_NO_VALUE: Final = re.compile(r"""[ \t\r]*(?:''|"")?(?:[ \t\r]+#.*|[ \t\r]*)""", re.DOTALL)
_BARE: Final = re.compile(r"[A-Za-z0-9_@%+:,./-]+")


def new_environment(values: Mapping[str, str]) -> str:
    """A file that has these variables; of an empty one there is the place to fill in.

    Raises:
        InputError: if a value cannot be written so that shell and compose read it alike.
    """
    head = "# Written by `keelwatch init`. Secrets of this deployment, for you alone: not to be committed or shared."
    return "\n".join((head, *(f"{name}={quoted(value)}" for name, value in values.items()), ""))


def changed_environment(before: str, ours: Mapping[str, str], values: Mapping[str, str]) -> str:
    """The file that was there with `ours` instead of what it had for them, and `values` where it had none.

    Raises:
        InputError: as `new_environment`, and if the file ends within a quote, which would take in what is added.
    """
    ending = "\r\n" if "\r\n" in before else "\n"
    lines = before.split("\n")
    if lines[-1] == "":
        lines.pop()
    if (unclosed := _quotes(lines).unclosed) is not None:
        raise InputError(open_quote(unclosed + 1))
    placed = _last_lines(lines)
    missing = []
    for name, value in (*ours.items(), *values.items()):
        at = placed.get(name)
        if at is None:
            missing.append(f"{name}={quoted(value)}{ending}")
        elif name in ours or (value and _is_empty(lines[at])):
            lines[at] = _assigning(lines[at], quoted(value))
    kept = "".join(f"{line}\n" for line in lines)
    return kept + "".join(missing)


def without_value(text: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the variables that have no value in the file."""
    lines = text.split("\n")
    placed = _last_lines(lines)
    return tuple(name for name in names if name not in placed or _is_empty(lines[placed[name]]))


def quoted(value: str) -> str:
    """A value as shell and compose read it alike.

    >>> print(quoted("/srv/keel watch"), quoted("/srv/ann's"))
    '/srv/keel watch' "/srv/ann's"

    Raises:
        InputError: if there is no such form.
    """
    if not value or _BARE.fullmatch(value):
        return value
    if value.isprintable() and "\\" not in value:
        if "'" not in value:
            return f"'{value}'"
        if not set(value) & set('"$`'):
            return f'"{value}"'
    raise InputError(
        f"{value!r}: cannot be written into .env so that a shell and compose read it alike; name a folder whose path "
        "has no backslash, no control character, and no ' beside \", $ or `"
    )


def _last_lines(lines: list[str]) -> dict[str, int]:
    """Variable -> the line that counts, which is its last one; a line within a quoted value is none."""
    found, within = {}, _quotes(lines).within
    for at, line in enumerate(lines):
        one = None if at in within else _LINE.fullmatch(line)
        if one is not None:
            found[one["name"]] = at
    return found


@dataclass(frozen=True, slots=True)
class _Quotes:
    """Lines that begin `within` a quote, as a shell reads them; and, if the last quote is `unclosed`, where it begins.

    An unclosed quote ends at the next one, wherever that is, and all after it are turned about. The line to look at is
    thus the first of which the quote goes on over a line that looks like another variable.
    """

    within: frozenset[int]
    unclosed: int | None


def _quotes(lines: list[str]) -> _Quotes:
    within, quote, opened, suspect = set(), "", 0, None
    for at, line in enumerate(lines):
        if quote:
            within.add(at)
        quote, new = _quote_after(line, quote)
        if quote and new:
            opened = at
            if suspect is None and any(map(_LINE.fullmatch, lines[at + 1 : at + 2])):
                suspect = at
    return _Quotes(frozenset(within), None if not quote else opened if suspect is None else suspect)


def _quote_after(line: str, quote: str) -> tuple[str, bool]:
    """The quote in which a line ends that begins in `quote`, empty for none; and whether it was opened on this line."""
    opened = escaped = False
    before = " "
    for char in line:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char == "#" and before.isspace():
            break
        elif char in "'\"":
            quote, opened = char, True
        before = char
    return quote, opened


def _is_empty(line: str) -> bool:
    found = _LINE.fullmatch(line)
    return found is not None and _NO_VALUE.fullmatch(found["value"]) is not None


def _assigning(line: str, value: str) -> str:
    """The line with another value; what stands before it, such as `export`, stays."""
    found = _LINE.fullmatch(line)
    before = line if found is None else line[: found.start("value")]
    return f"{before}{value}" + ("\r" if line.endswith("\r") else "")
