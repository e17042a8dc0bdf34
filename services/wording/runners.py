"""What is said of suites that are run by Inspect: why an answer is missing, and what it needs. Pure."""

from __future__ import annotations

from typing import Final

ENDED: Final = "Inspect's process has ended"
NO_END: Final = "Inspect does not know the reason that the endpoint gives for the end of its answer"
NO_OUTPUT: Final = "Inspect tells of an answer in a form that is not known"
ONLY_CHAT: Final = (
    "--runner inspect: asks OpenAI Chat Completions without headers or query of its own; ask this target without it"
)
NEEDS_PYTHON: Final = (
    "--runner inspect: needs --inspect-python, the Python of an environment with inspect_ai and openai"
)
NEEDS_RUNNER: Final = "--inspect-python: belongs to --runner inspect; add that, or leave it away"


def no_runner(said: str) -> str:
    """That there is no such runner."""
    return f"--runner {said}: must be keelwatch or inspect"


def no_inspect(python: str, why: str) -> str:
    """That the environment cannot run a suite."""
    return f"--inspect-python {python}: {why}; name the Python of an environment with inspect_ai and openai"


def too_slow(seconds: float) -> str:
    """That Inspect had no answer in time."""
    return f"no answer through Inspect within {seconds:g} s"


def inspect_says(error: str) -> str:
    """What Inspect says why there is no answer."""
    return f"no answer through Inspect: {error}"
