"""The formats in which publishers send exchanges. A new one is a file here and an entry of `FORMATS`.

The first that recognises a record reads it: those that need more to be recognised stand before those that need less.
"""

from __future__ import annotations

from typing import Final

from services.ingest.formats.anthropic_messages import ANTHROPIC
from services.ingest.formats.langfuse import LANGFUSE
from services.ingest.formats.litellm import LITELLM
from services.ingest.formats.native import NATIVE
from services.ingest.formats.openai_chat import OPENAI_CHAT
from services.ingest.formats.openai_responses import OPENAI_RESPONSES
from services.ingest.formats.otlp import OTLP
from services.ingest.formats.protocol import Format

FORMATS: Final[tuple[Format, ...]] = (
    OTLP,
    LITELLM,
    LANGFUSE,
    OPENAI_RESPONSES,
    ANTHROPIC,
    OPENAI_CHAT,
    NATIVE,
)
