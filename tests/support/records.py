"""Records with defaults, for tests: name only what matters to the case at hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.alert import Alert, fingerprint_of
from schemas.base import hash16
from schemas.change import Change, change_id
from schemas.decision import Decision
from schemas.evaluation import Comparison, HazardComparison, Run
from schemas.identity import Model, identity_of
from schemas.position import Position
from schemas.reading import ChangedAgain, Effect, Evidence, Reading, reading_id

ROUTE = "support-bot/prod"
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD = Model(provider="openai", requested="gpt-4", served="gpt-4-0314")
NEW = Model(provider="openai", requested="gpt-4", served="gpt-4-0613")
IDENTITY = identity_of(OLD)
OTHER = identity_of(NEW)
BASELINE = hash16("baseline")
NEXT_BASELINE = hash16("next baseline")
FELL = Effect(name="refusal", before=18.8, after=2.1, low=-20.4, high=-12.9, unit="pp")
SMALL = Effect(name="refusal", before=18.8, after=12.0, low=-9.0, high=-4.0, unit="pp")
BACK = Effect(name="refusal", before=18.8, after=18.9, low=-1.5, high=1.7, unit="pp")


def at(hours: float = 0.0) -> datetime:
    """`START` and so many hours."""
    return START + timedelta(hours=hours)


def place(index: int) -> Position:
    """The position of exchange `index` in a file."""
    return Position(cluster="file", topic="3b1f0c9d2a7e", partition=0, offset=index + 1)


def reading(status: str = "firing", index: int = 1000, **fields: Any) -> Reading:
    """A reading of rate_shift on refusal, 1 minute an exchange, `hours` overrides its time."""
    hours = fields.pop("hours", index / 60)
    n = fields.pop("n", 600)
    made: dict[str, Any] = {
        "route": ROUTE,
        "identity": IDENTITY,
        "detector": "rate_shift",
        "signal": "refusal",
        "slice": None,
        "hazard": None,
        "direction": "down",
        "status": status,
        "effect": SMALL if status == "firing" else BACK,
        "floor": 0.02,
        "evidence": Evidence(log_e=14.2, threshold=13.1, n=n, baseline=fields.pop("baseline", BASELINE)),
        "event_index": index,
        "ts": at(hours),
        "source": place(index),
        **fields,
    }
    made.setdefault(
        "id",
        reading_id(
            made["route"],
            made["identity"],
            made["detector"],
            made["signal"],
            made["slice"],
            made["direction"],
            made["evidence"].baseline,
            index,
            status,
        ),
    )
    return Reading(**made)


def shift(detector: str, status: str = "firing", index: int = 1000, **fields: Any) -> Reading:
    """A reading of model_shift or user_shift; the latter speaks of the route, whoever answers."""
    identity = None if detector == "user_shift" else IDENTITY
    effect = Effect(name=detector, before=0.0, after=0.8, low=0.6, high=1.1, unit="sd")
    plain: dict[str, Any] = {"signal": None, "direction": None, "effect": effect, "floor": None, "identity": identity}
    return reading(status, index, **{"detector": detector, **plain, **fields})


def event(index: int = 1000, **fields: Any) -> Reading:
    """A confirmed leak of a secret."""
    plain: dict[str, Any] = {"detector": "events", "signal": "secret_leak", "direction": None, "effect": None}
    return reading("firing", index, **{**plain, "floor": 0.0, "exemplars": (f"e{index}",), **fields})


def blind(status: str = "firing", index: int = 1000, **fields: Any) -> Reading:
    """The word of the route itself that it is not watched, for one of the three reasons that open an incident."""
    plain: dict[str, Any] = {"detector": "blind", "signal": "no_data", "direction": None, "identity": None}
    return reading(
        status, index, **{**plain, "effect": None, "floor": None, "reason": "no exchange for 24 h", **fields}
    )


def alert(status: str = "firing", index: int = 1000, **fields: Any) -> Alert:
    """An alert of rate_shift on refusal, 1 minute an exchange; `hours` overrides its time."""
    hours = fields.pop("hours", index / 60)
    made: dict[str, Any] = {
        "route": ROUTE,
        "family": "rate_shift",
        "signal": "refusal",
        "hazard": None,
        "slice": None,
        "direction": "down",
        "identities": (IDENTITY,),
        "status": status,
        "severity": "warning",
        "event_index": index,
        "ts": at(hours),
        "source": place(index),
        "effect": SMALL if status == "firing" else BACK,
        "floor": 0.02,
        "evidence": Evidence(log_e=14.2, threshold=13.1, n=143, baseline=BASELINE),
        **fields,
    }
    parts = (made[name] for name in ("route", "family", "signal", "hazard", "slice", "direction"))
    made.setdefault("fingerprint", fingerprint_of(*parts))
    made.setdefault("id", hash16([made["fingerprint"], status, made["severity"], index, made["ts"].isoformat()]))
    return Alert(**made)


def family_alert(family: str, status: str = "firing", index: int = 1000, **fields: Any) -> Alert:
    """An alert of another family than rate_shift, with the severity that this family has."""
    severity = {"events": "critical", "evaluation": "error", "blind": "warning"}.get(family, "info")
    signal = {"events": "secret_leak", "blind": "no_data"}.get(family)
    plain: dict[str, Any] = {"signal": signal, "direction": None, "effect": None, "floor": None, "severity": severity}
    plain["slice"] = "suite=core" if family == "evaluation" else None
    plain["identities"] = () if family in ("user_shift", "blind") else (IDENTITY,)
    return alert(status, index, **{"family": family, **plain, **fields})


def decision(kind: str, hours: float = 20.0, **fields: Any) -> Decision:
    """A decision of Mara's."""
    made: dict[str, Any] = {"kind": kind, "route": ROUTE, "actor": "mara", "reason": "we looked at it", "ts": at(hours)}
    return Decision(**{**made, **fields})


def change(kind: str = "observed", index: int = 990, **fields: Any) -> Change:
    """A change from `OLD` to `NEW`; a pinned one pins `NEXT_BASELINE`."""
    hours = fields.pop("hours", index / 60)
    baseline = fields.pop("baseline", NEXT_BASELINE if kind == "pinned" else BASELINE)
    made: dict[str, Any] = {
        "id": change_id(ROUTE, kind, IDENTITY, OTHER, baseline),
        "kind": kind,
        "route": ROUTE,
        "from_identity": IDENTITY,
        "to_identity": OTHER,
        "model": NEW,
        "baseline": baseline,
        "ts": at(hours),
        "event_index": index,
        "reason": "a new identity answers",
    }
    return Change(**{**made, **fields})


def run(hours: float = 18.0, **fields: Any) -> Run:
    """A complete run of the suite `core`."""
    made: dict[str, Any] = {
        "id": hash16(["run", hours]),
        "route": ROUTE,
        "identity": OTHER,
        "suite": "core",
        "suite_sha256": "0" * 64,
        "status": "complete",
        "ts": at(hours),
        "items": 200,
    }
    return Run(**{**made, **fields})


def comparison(overall: str = "regressed", hours: float = 18.0, **fields: Any) -> Comparison:
    """A comparison of two runs of the suite `core`, with one hazard that moved like the whole."""
    moved = {"before": 98.0, "after": 71.0, "delta": -27.0, "low": -33.0, "high": -21.0}
    hazard = HazardComparison(hazard="jailbreak", measure="refusal", n=200, verdict=overall, **moved)
    made: dict[str, Any] = {
        "id": hash16(["comparison", overall, hours]),
        "route": ROUTE,
        "identity": OTHER,
        "suite": "core",
        "overall": overall,
        "ts": at(hours),
        "hazards": (hazard,),
    }
    return Comparison(**{**made, **fields})


def further(index: int = 1500, **fields: Any) -> Reading:
    """A reading that behaviour changed again, held against 300 exchanges after exchange 1,000."""
    told: dict[str, Any] = {"signal": "refusal", "detector": "rate_shift", "direction": "down", **fields}
    effect, point = told.pop("effect", SMALL), told.pop("change_point", None)
    evidence = Evidence(log_e=16.1, threshold=15.2, n=40, baseline=hash16("second"))
    return reading(
        "firing",
        index,
        **told,
        effect=None,
        floor=None,
    ).model_copy(
        update={
            "evidence": evidence,
            "again": ChangedAgain(
                reference=hash16("second"),
                after=1000,
                ts_after=at(1000 / 60),
                n=300,
                **{name: told[name] for name in ("detector", "signal", "direction")},
                effect=effect,
                floor=0.02,
                evidence=evidence,
                change_point=point,
            ),
        }
    )
