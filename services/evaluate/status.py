"""Whether a run is complete, incomplete or failed, and why: pure. Missing answers never look like good ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from schemas.evaluation import RunStatus
from schemas.identity import Model
from services.evaluate.result import Answer


def answered(answer: Answer) -> bool:
    """Whether the endpoint answered; that its provider's filter stopped a request is an answer, too."""
    return answer.error is None or (answer.scored is not None and answer.scored.event is not None)


def served_models(answers: Iterable[Answer]) -> tuple[str, ...]:
    """The models that say that they answered, sorted."""
    return tuple(sorted({answer.served for answer in answers if answer.served is not None}))


def status_of(
    wanted: int, answers: Sequence[Answer], stopped: str | None, requested: str, expected: Model | None
) -> tuple[RunStatus, str | None]:
    """Status of a run, and the reason when it is not complete.

    Args:
        wanted: answers of a whole run.
        answers: all that came, those with an error too.
        stopped: why the run ended before its end, if it did.
        requested: the model that was asked for.
        expected: the identity that should have answered, if it is known.
    """
    good = [answer for answer in answers if answered(answer)]
    if not good:
        return "failed", stopped or _commonest(answers) or "the suite asks nothing"
    served = served_models(good)
    if len(served) > 1:
        return "incomplete", f"{len(served)} models answered within one run: {_list(served)}"
    if expected is not None and (wrong := contradiction(expected, requested, served)) is not None:
        return "failed", wrong
    if len(good) < wanted:
        missing = f"{wanted - len(good):,} of {wanted:,} answers are missing"
        return "incomplete", f"{missing}: {stopped or _commonest(answers)}"
    if all(answer.scored is None or answer.scored.event is None for answer in good):
        return "incomplete", f"none of the {wanted:,} answers could be scored"
    return "complete", None


def contradiction(expected: Model, requested: str, served: Sequence[str]) -> str | None:
    """Why the model that answered cannot be the expected one, None if it can."""
    if expected.served is None:
        if expected.requested in (requested, *served):
            return None
        return f"the target asks for {requested}, the route for {expected.requested}; correct the target's model"
    if expected.served in (served or (requested, expected.served)):
        return None
    return f"{_list(served)} answered, expected was {expected.served}; correct the target, or ask again later"


def _commonest(answers: Iterable[Answer]) -> str | None:
    errors = Counter(answer.error for answer in answers if not answered(answer))
    return errors.most_common(1)[0][0] if errors else None


def _list(names: Sequence[str]) -> str:
    """Names that endpoints gave themselves: short, and not many."""
    shown = [name if len(name) <= 80 else f"{name[:79]}…" for name in names[:3]]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")
