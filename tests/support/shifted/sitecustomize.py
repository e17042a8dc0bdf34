"""Makes `time.sleep` wait under faketime (0.9.10 and before), which takes its deadline for one of the shifted clock."""

import select
import time


def _sleep(seconds: float) -> None:
    select.select((), (), (), seconds)


time.sleep = _sleep
