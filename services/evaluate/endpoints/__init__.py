"""How model endpoints are asked and understood: one file an API, and what all of them share. Pure.

A new API is an entry of `services.monitor.target_api.TARGET_APIS`, a file here, and a line of `API_FORMS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.evaluate.endpoints.chat_completions import ChatCompletions
from services.evaluate.endpoints.messages import Messages
from services.evaluate.endpoints.protocol import ApiForm
from services.evaluate.endpoints.responses import Responses
from services.monitor.target_api import ApiName

API_FORMS: Final[Mapping[ApiName, ApiForm]] = {form.name: form for form in (ChatCompletions(), Responses(), Messages())}
