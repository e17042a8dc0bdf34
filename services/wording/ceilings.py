"""What is said of rates that must stay below a ceiling of the monitor file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.reading import Effect
from services.wording import nouns, numbers

BELOW_AGAIN: Final = "below its ceiling again"
UNNAMED: Final = "A rate above its ceiling does not say who changed, or that anything did."


def ceiling(share: float | None) -> str:
    """A ceiling as it stands beside a rate.

    >>> ceiling(0.005), ceiling(None)
    ('at most 0.5%', '')
    """
    return "" if share is None else f"at most {numbers.percent(share)}"


def ceilings(found: Mapping[str, float]) -> str:
    """Ceilings in one line, for `check-config`.

    >>> ceilings({"harmful_compliance": 0.005, "refusal": 0.3})
    'harmful compliance at most 0.5%, refusal at most 30.0%'
    """
    return ", ".join(f"{nouns.plain(name)} {ceiling(share)}" for name, share in sorted(found.items()))


def above(effect: Effect | None, share: float | None) -> str:
    """How a rate stands to its ceiling, after its name and place: `is 2.1%, above its ceiling of 0.5%`."""
    rate = (
        ""
        if effect is None or effect.after is None or effect.unit != "pp"
        else f" {numbers.level(effect.after, effect.unit)},"
    )
    return f"is{rate} above its ceiling" + ("" if share is None else f" of {numbers.percent(share)}")


def held_against(effect: Effect, share: float | None) -> str:
    """A rate beside its ceiling, in the few words of a list: `2.1%, at most 0.5%`."""
    return ", ".join(part for part in (numbers.level(effect.after or 0.0, effect.unit), ceiling(share)) if part)


def bounds(effect: Effect | None) -> str:
    """Between which a rate lies, for Details."""
    if effect is None or effect.low is None or effect.high is None:
        return f"rate {numbers.UNKNOWN}"
    return f"rate {numbers.interval(effect.low / 100, effect.high / 100)} (95% confidence sequence)"


def not_pinned(rates: Mapping[str, float], ceilings: Mapping[str, float]) -> str:
    """Why a route that has learned enough has no baseline, and what to do about it.

    >>> not_pinned({"harmful_compliance": 0.021}, {"harmful_compliance": 0.005})
    'not pinned: harmful compliance 2.1% is above the ceiling of 0.5%; accept it or fix it'
    """
    told = [
        f"{nouns.plain(name)} {numbers.percent(rate)} is above the ceiling of {numbers.percent(ceilings[name])}"
        for name, rate in sorted(rates.items())
    ]
    return f"not pinned: {numbers.listed(told)}; accept it or fix it"
