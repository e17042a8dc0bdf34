"""A run as it leaves: with its rates, and with hashes by which an edit of any answer shows. Pure.

The hashes hold no key: they find what was altered by accident or carelessly, and name the answer. Whoever alters a file
on purpose can make them anew; then the run in the database, which the audit log binds, is what to hold it against.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from pydantic import Field

from schemas.base import Part, canonical
from services.evaluate.profile import profile_of
from services.evaluate.result import RATES, SEAL, RunResult, SuiteAnswer

SHA256: Final = r"^[0-9a-f]{64}$"


class RunSeal(Part):
    """Hashes of a run.

    Attributes:
        answers: `ITEM/REPEAT` -> hash of that answer. sha256: of everything else of the run, and of those.
    """

    answers: Mapping[str, str]
    sha256: str = Field(pattern=SHA256)


def seal_of(run: RunResult) -> RunSeal:
    """The hashes of a run: of its content, whatever fields later versions add and leave at their defaults."""
    answers = {answer_name(answer): _sha256(_content(answer)) for answer in run.answers}
    rest = {name: value for name, value in _content(run).items() if name != "answers"}
    return RunSeal(answers=answers, sha256=_sha256({**rest, "answers": answers}))


def answers_sha256(run: RunResult) -> str:
    """One hash over every answer of a run, in whatever order they stand."""
    return _sha256(dict(seal_of(run).answers))


def answer_name(answer: SuiteAnswer) -> str:
    """Which answer of a run it is."""
    return f"{answer.item}/{answer.repeat}"


def exported_run(run: RunResult) -> dict[str, Any]:
    """The run as files hold it: what is stored, what follows from it, and its hashes."""
    told: dict[str, Any] = json.loads(run.encode())
    return {**told, RATES: [asdict(one) for one in profile_of(run)], SEAL: seal_of(run).model_dump(mode="json")}


def _content(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = part.model_dump(mode="json", exclude_defaults=True)
    return found


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()
