"""`keelwatch` whose watch for blindness lives 60 times as fast: `python -m tests.support.quick_clock`.

Ten minutes of its own clock are ten seconds, and it looks twice a second. All else is as it is.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from services.cli.app import main
from services.record import blind_watch

FASTER = 60.0
EVERY = 0.5


class QuickWatch(blind_watch.BlindWatch):
    """The watch, with another clock."""

    def __init__(self, database: Any, look: Any, _clock: Any, limits: Any = None) -> None:
        begin, since = datetime.now(UTC), time.monotonic()
        super().__init__(database, look, lambda: begin + timedelta(seconds=(time.monotonic() - since) * FASTER), limits)

    async def run(self, publish: Any, _every: float = EVERY) -> None:
        """Look until cancelled."""
        await super().run(publish, EVERY)


if __name__ == "__main__":
    from services.wiring import worker

    worker.BlindWatch = QuickWatch  # type: ignore[misc]
    main()
