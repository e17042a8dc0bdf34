"""The simulated model's endpoint, a process of its own: `python -m services.demo.endpoint PORT`.

It speaks the OpenAI chat form. `POST /replace` puts the new model behind the same name, or behind `?served=NAME`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import uvicorn
from fastapi import FastAPI

from services.demo.support_bot import SERVED, Bot
from services.evaluate.suite_library import load_suite


def app(bot: Bot) -> FastAPI:
    """The endpoint; it begins with the old model."""
    made = FastAPI(openapi_url=None)
    replaced: list[str] = []

    @made.get("/health")
    async def health() -> Mapping[str, bool]:
        return {"ok": True}

    @made.post("/replace")
    async def replace(served: str = SERVED) -> Mapping[str, bool]:
        replaced.append(served)
        return {"ok": True}

    @made.post("/v1/chat/completions")
    async def complete(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        text = bot.answer(asked["messages"], new=bool(replaced))
        message = {"role": "assistant", "content": text}
        return {
            "id": "chatcmpl-demo",
            "object": "chat.completion",
            "model": replaced[-1] if replaced else SERVED,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": len(text.split()), "total_tokens": 1},
        }

    return made


def main(port: int) -> None:
    """Serve until the process is ended."""
    uvicorn.run(app(Bot.of(load_suite("smoke"))), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
