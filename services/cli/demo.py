"""`keelwatch demo`: a support bot whose model is silently replaced, and what Keelwatch makes of it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import track

from schemas.exchange import Exchange
from schemas.position import Position
from services import bootstrap
from services.cli.output import ERR, OUT
from services.cli.replay import tell
from services.demo.bot import ROUTE, Script, traffic
from services.monitor import Monitor
from services.ports import Received
from services.replay.runner import Replay
from services.settings import load_settings


def demo(
    seed: Annotated[int, typer.Option(help="The same seed tells the same story.")] = 7,
) -> None:
    """Replay a simulated support bot whose model is silently replaced by one that refuses less and leaks a key."""
    script = Script()
    OUT.print(
        f"A simulated support bot answers {script.before:,} customers. Then its model is replaced under the same "
        f"name by one that refuses less and leaks a key, for {script.after:,} more. Nobody tells Keelwatch.\n"
    )
    run = Replay(bootstrap.tools(load_settings(), Monitor()))
    story = list(traffic(script, seed))
    for i, exchange in enumerate(track(story, "replaying", console=ERR, transient=True, disable=not ERR.is_terminal)):
        run.feed(_received(exchange, i))
    seen = run.finish()
    tell(seen)
    for incident in seen.incidents(ROUTE).incidents:
        OUT.print(f"verdict: {incident.verdict}")


def _received(exchange: Exchange, offset: int) -> Received:
    return Received(exchange, Position(cluster="demo", topic="demo", partition=0, offset=offset))
