"""The quickstart in short form: what `init` writes, what the waiting page shows to be copied, the first incident.

`python -m tests.e2e.quickstart --install` does the same with a stopwatch, from an empty folder on.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.wording import onboarding
from tests.e2e.quickstart import CHANNEL, ROUTE, Newcomer, Stopwatch, beginning, here, story
from tests.support.streams import until

pytestmark = pytest.mark.kafka
FIRST = "first/steps"
"""A route of its own for what is copied, so that the story's begins with its own model."""


def sent_as_shown(newcomer: Newcomer) -> None:
    """What the page shows is copied, and run as it is."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl: install Debian's package curl")
    shown = {title: text.replace(ROUTE, FIRST) for title, text in newcomer.snippets().items()}
    environment = dict(here().environment)
    for title, command in (
        ("curl", ["/bin/sh", "-c"]),
        ("Kafka producer", [sys.executable, "-c"]),
        ("Python client", [sys.executable, "-c"]),
    ):
        assert FIRST in shown[title], "the route of the monitor file"
        env = {"PATH": "/usr/bin:/bin", **environment}
        done = subprocess.run(
            [*command, shown[title]], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{title}: {done.stderr}"


def test_from_init_to_the_first_incident_in_slack(tmp_path: Path) -> None:
    with beginning(tmp_path, here(), Stopwatch()) as newcomer:
        assert f"{newcomer.api}/ has the pages" in newcomer.log.read_text()
        page = newcomer.get("/")
        assert page is not None
        assert onboarding.GOES_ON in page.text
        assert f'{ROUTE}</bdi> <span class="fleet-word">{onboarding.WAITS}' in page.text

        sent_as_shown(newcomer)

        def counted() -> int:
            answer = newcomer.get(f"/v1/routes/{FIRST}")
            return answer.json()["exchanges_24h"] if answer is not None and answer.status_code == 200 else 0

        until(lambda: counted() == 3, "curl, a producer and the client have published an exchange each")
        page = newcomer.get("/")
        assert page is not None
        assert onboarding.GOES_ON not in page.text
        assert onboarding.waiting_routes(1) in page.text

        story(newcomer, Stopwatch())
        told = newcomer.messages()[0]
        assert told["channel"] == CHANNEL
        assert ROUTE in str(told)
        until(lambda: newcomer.incident().get("verdict") == "model", "it was the model")
