"""Runs as other tools read them: one file for each format, and one entry here.

Whatever the format, an item that nobody could score is none that passed.
"""

from __future__ import annotations

from typing import Final

from services.evaluate.exporters.inspect_log import InspectLog
from services.evaluate.exporters.junit import JUnitReport
from services.evaluate.exporters.otel_events import OtelEvents
from services.evaluate.exporters.protocol import RunExporter

EXPORTERS: Final[tuple[RunExporter, ...]] = (InspectLog(), JUnitReport(), OtelEvents())
