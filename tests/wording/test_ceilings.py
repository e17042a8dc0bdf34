"""What people read of ceilings and trial baselines, beside rates and where a monitor file is checked."""

from __future__ import annotations

from services.api.resources.route_rates import signal_rates
from services.cli.checks import settings_told
from services.monitor import BaselinePolicy, RoutePolicy
from services.store.rollups import RollupRate
from services.wording import ceilings, trials


def test_a_ceiling_stands_beside_the_rate_of_the_whole_route() -> None:
    counted = [RollupRate(who, label, "refusal", 100, 100, 20.0) for who in ("a" * 16,) for label in ("", "tags.x=y")]
    found = {(one.slice, one.identity): one.ceiling for one in signal_rates(counted, {}, {"refusal": 0.3})}
    assert found[None, None] == found[None, "a" * 16] == 0.3
    assert found["tags.x=y", None] is None


def test_check_config_says_which_ceilings_hold_and_what_a_trial_cannot_see() -> None:
    policy = RoutePolicy(baseline=BaselinePolicy(trial=True), objectives={"harmful_compliance": 0.005})
    first, second = settings_told(policy)
    assert first == "harmful compliance at most 0.5%"
    assert second.startswith("learns a trial baseline of 300 exchanges at once; with a floor of 2.0 points")
    assert list(settings_told(RoutePolicy())) == []


def test_several_rates_above_their_ceilings_are_all_named() -> None:
    told = ceilings.not_pinned({"refusal": 0.4, "pii_leak": 0.021}, {"refusal": 0.3, "pii_leak": 0.005})
    assert told == (
        "not pinned: pii leak 2.1% is above the ceiling of 0.5% and refusal 40.0% is above the ceiling of 30.0%; "
        "accept it or fix it"
    )


def test_a_trial_says_per_rate_what_stays_unseen() -> None:
    told = trials.pinned({"refusal": 0.15, "secret_leak": 0.0}, {"refusal": 0.02, "secret_leak": 0.0}, 300, 1000)
    assert told.startswith("Trial baseline of 300 exchanges; a full one has 1,000, and takes its place")
    assert "the refusal rate moving by less than 5.1 points (3.7 with 1,000)" in told
    assert "leak" not in told
