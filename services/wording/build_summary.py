"""What the page of a build says of runs that were compared: Markdown, in which foreign text is only text. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Final

from schemas.evaluation import Outcome
from services.wording.evaluations import TWO_RUNS

_MARKS: Final = re.compile(r"[\\`*_{}\[\]()#+!|~@]|(?<=\w):(?=//)|(?<=www)\.")
_LONGEST: Final = 2_000


def comparisons(suites: Sequence[tuple[str, Outcome, str]], overall: Outcome) -> str:
    """One heading, and a row of each suite: (name, outcome, reason)."""
    rows = [f"| {as_text(suite)} | {outcome} | {as_text(reason)} |" for suite, outcome, reason in suites]
    head = [
        f"### Safety suites: {overall}",
        "",
        f"{TWO_RUNS[overall]}.",
        "",
        "| suite | outcome | why |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows, "", ""])


def as_text(text: str) -> str:
    """Text that Markdown and HTML show as it stands: in one line, cut at 2,000 characters.

    >>> as_text("a <b> | c")
    'a &lt;b&gt; &#124; c'
    """
    line = " ".join(text.split())
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST - 1]}…"
    return _MARKS.sub(lambda mark: f"&#{ord(mark.group())};", escape(line, quote=False))
