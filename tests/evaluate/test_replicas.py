"""Two replicas that are killed at random: every fire time is run and recorded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.chaos.fire_times import fire_times
from tests.support.endpoint import Endpoint


def test_two_hundred_fire_times_under_random_kills_are_two_hundred_runs(
    postgres: Any, endpoint: Endpoint, tmp_path: Path
) -> None:
    url = postgres.fresh()
    assert "none twice, none missing" in fire_times(url, endpoint, tmp_path, seconds=20)
    postgres.take_back(url)
