"""Made-up credentials in the forms of real ones, drawn by a seeded generator so that none stands in the repository."""

from __future__ import annotations

import json
import re
import string
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from random import Random
from re._parser import SubPattern, parse  # type: ignore[import-not-found]  # private, and there is no public one
from typing import Any

from services.signals.secret_forms import KeyForm
from services.signals.stand_ins import looks_made_up

WORD = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
BASE32 = string.ascii_uppercase + "234567"


def draw(random: Random, length: int, alphabet: str = WORD) -> str:
    """`length` random characters."""
    return "".join(random.choices(alphabet, k=length))


def draw_form(form: KeyForm, random: Random) -> str:
    """A key of a form, every open part of it random; drawn anew while it looks like a stand-in."""
    for _ in range(100):
        key = _drawn(parse(form.source), random)
        match = form.pattern.fullmatch(key)
        assert match is not None, form
        if not looks_made_up(form.body(match)):
            return key
    raise AssertionError(form)


def draw_named(name: str, shape: str, random: Random) -> str:
    """An assignment of a key that its name alone tells: `MISTRAL_API_KEY=...`."""
    word = re.sub(r"[^a-z0-9]", "_", re.split(r"\|", name)[0].replace("[_-]", "_").replace("?", "")).strip("_")
    for _ in range(100):
        value = _drawn(parse(shape), random)
        if not looks_made_up(value) and any(map(str.isdigit, value)):
            return f"{word.upper()}_API_KEY={value}"
    raise AssertionError(name)


def _drawn(parts: SubPattern, random: Random) -> str:
    return "".join(_drawn_part(code, argument, random) for code, argument in parts)


def _drawn_part(code: Any, argument: Any, random: Random) -> str:
    """A text that one part of a parsed pattern fits."""
    match str(code):
        case "LITERAL":
            return chr(argument)
        case "IN":
            return random.choice([*_members(argument)])
        case "MAX_REPEAT":
            low, high, what = argument
            return "".join(_drawn(what, random) for _ in range(random.randint(low, min(high, low + 20))))
        case "SUBPATTERN":
            return _drawn(argument[-1], random)
        case "BRANCH":
            return _drawn(random.choice(argument[1]), random)
    raise AssertionError(code)


def _members(items: Any) -> Iterator[str]:
    for code, argument in items:
        first, last = (argument, argument) if str(code) == "LITERAL" else argument
        yield from map(chr, range(first, last + 1))


def private_key(random: Random) -> str:
    """A PEM block of random bytes."""
    body = b64encode(random.randbytes(600)).decode()
    lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"


def web_token(random: Random, claims: dict[str, object]) -> str:
    """A signed token with these claims."""
    parts = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "HS256"}, claims)]
    return ".".join((*parts, draw(random, 43)))


KEYS: dict[str, Callable[[Random], str]] = {
    "aws_access_key": lambda r: "AKIA" + draw(r, 16, BASE32),
    "github classic": lambda r: "ghp_" + draw(r, 36),
    "github fine-grained": lambda r: "github_pat_" + draw(r, 22) + "_" + draw(r, 59),
    "gitlab": lambda r: "glpat-" + draw(r, 20),
    "slack bot": lambda r: f"xoxb-{r.randrange(10**11, 10**12)}-{r.randrange(10**12, 10**13)}-{draw(r, 24)}",
    "slack webhook": lambda r: (
        f"https://hooks.slack.com/services/T{draw(r, 10, BASE32)}/B{draw(r, 10, BASE32)}/{draw(r, 24)}"
    ),
    "openai": lambda r: "sk-" + draw(r, 20) + "T3BlbkFJ" + draw(r, 20),
    "openai project": lambda r: "sk-proj-" + draw(r, 120),
    "anthropic": lambda r: "sk-ant-api03-" + draw(r, 93) + "AA",
    "google": lambda r: "AIza" + draw(r, 35),
    "stripe": lambda r: "sk_live_" + draw(r, 24),
    "npm": lambda r: "npm_" + draw(r, 36),
    "hugging face": lambda r: "hf_" + draw(r, 34),
    "twilio": lambda r: "SK" + draw(r, 32, HEX),
    "sendgrid": lambda r: "SG." + draw(r, 22) + "." + draw(r, 43),
    "telegram": lambda r: f"{r.randrange(10**9, 10**10)}:AA{draw(r, 33)}",
    "azure storage": lambda r: "AccountKey=" + b64encode(r.randbytes(64)).decode(),
    "azure client secret": lambda r: draw(r, 3) + "8Q~" + draw(r, 34),
    "private key": private_key,
    "web token": lambda r: web_token(r, {"sub": draw(r, 12), "exp": 1900000000}),
    "database url": lambda r: f"postgresql://billing:{draw(r, 18)}@pg.keller-data.net:5432/main",
}
"""What a key is called -> how one is drawn."""
