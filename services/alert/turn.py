"""One input on its way through the stages."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.alert import Alert
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.reading import Reading
from services.alert.state import AlertState
from services.alert.word import Word

Input = Reading | Change | Run | Comparison | Decision


@dataclass(frozen=True, slots=True)
class Turn:
    """The state so far, the input (None: nothing new in it), its word if it has one, and the alerts made of it."""

    state: AlertState
    item: Input | None
    word: Word | None = None
    alerts: tuple[Alert, ...] = ()
