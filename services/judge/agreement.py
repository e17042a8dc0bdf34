"""How far a judge agrees with people, of what both said of the same exchanges. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from detectors.stats.intervals import wilson

LEAST_EACH: Final = 10
"""Labelled exchanges of either kind without which nothing is said of a judge."""
LEAST_KAPPA: Final = 0.4
MOST_INCONCLUSIVE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Proportion:
    """`hits` of `n`, with Wilson's 95% interval; None where `n` is 0."""

    hits: int
    n: int

    @property
    def share(self) -> float | None:
        """The share."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where it lies."""
        return wilson(self.hits, self.n) if self.n else None

    @property
    def told(self) -> dict[str, Any]:
        """As JSON."""
        low, high = self.interval or (None, None)
        return {"hits": self.hits, "n": self.n, "share": self.share, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts of (label, judge): yes or no each, and what the judge said nothing of.

    Attributes:
        both, neither: they agree. judge_alone: a false alarm. people_alone: missed.
        silent_yes, silent_no: labelled so, and the judge was inconclusive.
    """

    both: int = 0
    neither: int = 0
    judge_alone: int = 0
    people_alone: int = 0
    silent_yes: int = 0
    silent_no: int = 0

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool | None]]) -> Agreement:
        """Of (label, what the judge said; None: inconclusive)."""
        names = {
            (True, True): "both",
            (False, False): "neither",
            (False, True): "judge_alone",
            (True, False): "people_alone",
            (True, None): "silent_yes",
            (False, None): "silent_no",
        }
        counts = dict.fromkeys(names.values(), 0)
        for pair in pairs:
            counts[names[pair]] += 1
        return cls(**counts)

    @property
    def n(self) -> int:
        """Labelled exchanges."""
        return self.said + self.silent_yes + self.silent_no

    @property
    def said(self) -> int:
        """Those that the judge said something of."""
        return self.both + self.neither + self.judge_alone + self.people_alone

    @property
    def accuracy(self) -> Proportion:
        """Where they agree, of what the judge said."""
        return Proportion(self.both + self.neither, self.said)

    @property
    def false_positives(self) -> Proportion:
        """What people call no, and the judge yes."""
        return Proportion(self.judge_alone, self.judge_alone + self.neither)

    @property
    def false_negatives(self) -> Proportion:
        """What people call yes, and the judge no."""
        return Proportion(self.people_alone, self.people_alone + self.both)

    @property
    def inconclusive(self) -> Proportion:
        """What the judge said nothing of."""
        return Proportion(self.silent_yes + self.silent_no, self.n)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond what chance would give; None where either of them knows one answer alone.

        J. Cohen, A coefficient of agreement for nominal scales, 1960.
        """
        n = self.said
        people, judge = self.both + self.people_alone, self.both + self.judge_alone
        chance = (people * judge + (n - people) * (n - judge)) / n**2 if n else 1.0
        return None if chance == 1.0 else (self.both + self.neither - n * chance) / (n * (1 - chance))

    @property
    def why_not(self) -> str | None:
        """Why the judge may not be used: one of `few`, `inconclusive`, `kappa`; None when it may."""
        yes, no = self.both + self.people_alone, self.neither + self.judge_alone
        if min(yes + self.silent_yes, no + self.silent_no) < LEAST_EACH:
            return "few"
        if (self.inconclusive.share or 0.0) > MOST_INCONCLUSIVE:
            return "inconclusive"
        return "kappa" if self.kappa is None or self.kappa < LEAST_KAPPA else None

    @property
    def told(self) -> dict[str, Any]:
        """As JSON."""
        rates = ("accuracy", "false_positives", "false_negatives", "inconclusive")
        return {
            "n": self.n,
            "counts": asdict(self),
            **{name: getattr(self, name).told for name in rates},
            "kappa": self.kappa,
            "passed": self.why_not is None,
            "why_not": self.why_not,
        }
