"""Whom the score step asks of exchanges that it cannot measure itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from services.signals.protocol import Measurement, ScoredText

Judged = Mapping[str, Measurement]
"""What judges said of one exchange, by the name of their signal."""


class Judge(Protocol):
    """Asks judges while the step goes on with its work."""

    def begin(self, texts: Sequence[ScoredText | None]) -> Callable[[], Sequence[Judged]]:
        """Begin to ask of a batch; None stands for an exchange without an answer.

        What comes back waits for what judges said of each text, until a short deadline, and never raises.
        """


class NoJudge:
    """Asks nobody: signals that need a judge are unscored."""

    def begin(self, texts: Sequence[ScoredText | None]) -> Callable[[], Sequence[Judged]]:
        """Nothing is said of any text."""
        return lambda: [{} for _ in texts]


NO_JUDGE: Final = NoJudge()
