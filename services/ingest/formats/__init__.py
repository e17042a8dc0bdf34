"""The formats in which publishers send exchanges. A new one is a file here and an entry of `FORMATS`."""

from __future__ import annotations

from typing import Final

from services.ingest.formats.native import NATIVE
from services.ingest.formats.protocol import Format

FORMATS: Final[tuple[Format, ...]] = (NATIVE,)
