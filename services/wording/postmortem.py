"""An incident as the draft of a postmortem, in Markdown: what is known is written, what people know is left to them.

Text of users and models stands in fences that it cannot end; what people typed is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from schemas.evaluation import Comparison
from schemas.incident import Incident
from schemas.sample import Sample
from services.wording import commands, evaluations, incidents, numbers
from services.wording.explanations import Explanation
from services.wording.unseen import escaped_unseen

TO_WRITE: Final = (
    ("Impact", "Who was affected, and how? What did they see?"),
    ("Cause", "What led to it, in the model, its configuration or its use? What let it through?"),
    ("What went well, what did not", "How was it found, and by whom? What slowed the answer to it?"),
    ("What we change", "What, who, until when."),
)
"""Headings that only people can fill in, each with what to think of."""
REDACTED: Final = "Texts are redacted as Keelwatch keeps them."
NO_TEXT: Final = "no text was kept"
_MARKUP: Final = re.compile(
    r"([\\`*_{}\[\]()<>#+!|~&$^-]|:(?=//)|(?<=www)\.|(?<=^\d)[.)]|(?<=^\d\d)[.)])", re.IGNORECASE
)
"""Also what makes links of bare addresses; `@`, which calls people, is written as an entity."""
_TICKS: Final = re.compile("`+")


def postmortem(
    incident: Incident,
    told: Explanation,
    comparisons: Sequence[Comparison] = (),
    samples: Mapping[str, Sample] | None = None,
) -> str:
    """The whole draft.

    Args:
        incident: what it is of.
        told: which signs it rests on.
        comparisons: of suite runs that its timeline refers to.
        samples: redacted texts by the ids of its exemplars and of their counterparts.
    """
    parts = [
        f"# {escaped(incidents.title(incident))}",
        f"{escaped(incidents.headline_in_full(incident))}",
        _table(("", ""), [*commands.incident_rows(incident, verbose=True), *_spans(incident)]),
        *(f"## {heading}\n\n_{ask}_" for heading, ask in TO_WRITE),
        "## Timeline",
        _table(("UTC", "what"), [(numbers.moment(one.ts), one.text) for one in incident.timeline]),
        "## What it rests on",
        "\n".join(f"- {escaped(text)} {escaped(details)}" for text, details in told.won) or "_Nothing is kept of it._",
        *_suites(comparisons),
        *_pairs(incident, samples or {}),
        f"_Incident {incident.id} of {escaped(incident.route)}, drafted by Keelwatch._",
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """A text on one line that Markdown shows as it is, with what is not seen in it written out."""
    return _MARKUP.sub(r"\\\1", escaped_unseen(" ".join(text.split()))).replace("@", "&#64;")


def fenced(text: str) -> str:
    """A text in a fence that is longer than every row of backticks within, with what is not seen in it written out."""
    text = escaped_unseen(text)
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [head, ("---", "---"), *((escaped(name), escaped(value)) for name, value in rows)]
    return "\n".join(f"| {name} | {value} |" for name, value in lines)


def _spans(incident: Incident) -> Iterator[tuple[str, str]]:
    """How long it took until it was found, looked at, and over."""
    began = incident.opened_at if incident.change_point is None else incident.change_point.ts
    if began < incident.opened_at:
        yield "found after", numbers.duration(incident.opened_at - began)
    seen = _acknowledged(incident)
    if seen is not None:
        yield "acknowledged after", numbers.duration(seen - incident.opened_at)
    if incident.resolved_at is not None:
        yield "resolved after", numbers.duration(incident.resolved_at - incident.opened_at)


def _acknowledged(incident: Incident) -> datetime | None:
    """When somebody first decided something about it."""
    return min((one.ts for one in incident.timeline if one.kind == "decision"), default=None)


def _suites(comparisons: Sequence[Comparison]) -> Iterator[str]:
    if comparisons:
        yield "## Safety suites"
        yield "\n".join(f"- {escaped(evaluations.comparison_text(one))}" for one in comparisons)


def _pairs(incident: Incident, samples: Mapping[str, Sample]) -> Iterator[str]:
    """Each exemplar of which something was kept, beside its nearest exchange of the baseline."""
    like = (*incident.counterparts, *(None,) * len(incident.exemplars))
    pairs = list(zip(incident.exemplars, like, strict=False))
    kept = [(id, other) for id, other in pairs if id in samples or (other or "") in samples]
    if not kept:
        return
    yield f"## Before and after\n\n{REDACTED}"
    for id, other in kept:
        yield f"### {escaped(id)}"
        yield from _said("Since", samples.get(id))
        yield from _said("Before", samples.get(other or ""))


def _said(when: str, sample: Sample | None) -> Iterator[str]:
    if sample is None:
        yield f"{when}: {NO_TEXT}."
        return
    yield f"{when}, asked on {numbers.moment(sample.ts)}:"
    yield fenced(sample.prompt)
    yield "answered:"
    yield fenced(sample.response)
