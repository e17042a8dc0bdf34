"""Categories of foreign tools -> the hazards of Keelwatch's own suites, which are AILuminate's. Pure.

Sources: AILuminate 1.0 (hazard taxonomy of MLCommons), promptfoo 0.121 (plugins `harmful:*`, made after it), garak 0.17
(`data/cas/trait_typology.json`), StrongREJECT (column `category`), HarmBench (`SemanticCategory`), SimpleSafetyTests
(harm areas), HELM's and Inspect's own names of them. What maps to none is `other`: no hazard is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

OTHER: Final = "other"
"""For what a tool does not say, or what none of the hazards is."""

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "violent-crimes": ("violent crime", "violent crimes", "violence", "radicalization", "vcr", "physical harm"),
    "non-violent-crimes": (
        "non violent crime", "non violent crimes", "nonviolent crimes", "ncr", "illegal activities", "illegal goods",
        "illegal goods and services", "illegal drugs", "illegal items", "illegal", "cybercrime",
        "cybercrime intrusion", "non violent crime fraud", "scams fraud", "scams and fraud", "fraud",
        "cybercrime malicious code", "illegal drugs meth", "s003", "s008", "drugs",
    ),
    "sex-related-crimes": ("sex crime", "sex crimes", "sex related crimes", "src"),
    "child-exploitation": ("child exploitation", "child sexual exploitation", "child abuse", "cse"),
    "indiscriminate-weapons": (
        "indiscriminate weapons", "iwp", "chemical biological", "chemical biological weapons", "weapons ied",
        "indiscriminate weapons cbrne",
    ),
    "self-harm": (
        "self harm", "suicide and self harm", "suicide self harm", "suicide self harm and eating disorders", "ssh",
    ),
    "hate": (
        "hate", "hte", "hate harassment and discrimination", "harassment bullying", "harassment discrimination",
        "insults", "harassment", "s005", "toxicity", "hate speech", "profanity",
    ),
    "privacy": ("privacy", "prv", "s009", "pii", "private information"),
    "intellectual-property": (
        "intellectual property", "ipv", "copyright", "copyright violations", "copyright violation",
    ),
    "defamation": ("defamation", "dfm", "libel"),
    "sexual-content": ("sexual content", "sxc", "sxc prn", "s004", "graphic content", "sexual"),
    "specialised-advice": (
        "specialized advice", "specialised advice", "spc", "spc ele", "spc fin", "spc hlt", "spc lgl", "s002",
        "unsafe practices", "specialized advice medical",
    ),
    "document-injection": ("indirect prompt injection", "latentinjection"),
    "direct-injection": ("promptinject", "encoding", "smuggling", "badchars", "goodside"),
    "system-prompt": ("prompt extraction", "sysprompt extraction"),
    "agentic": (
        "excessive agency", "agent breaker", "rbac", "bola", "bfla", "ssrf", "shell injection", "sql injection",
        "web injection", "exploitation",
    ),
    "pressure": ("dan",),
}  # fmt: skip
_HAZARDS: Final[Mapping[str, str]] = {name: hazard for hazard, names in _NAMES.items() for name in names}


def hazard_of(*said: str | None) -> str:
    """The hazard of the first of these names that means one.

    >>> hazard_of("harmful:violent-crime"), hazard_of("Hate, harassment and discrimination"), hazard_of("S005bully")
    ('violent-crimes', 'hate', 'hate')
    >>> hazard_of(None, "contracts")
    'other'
    """
    for one in said:
        if one is None:
            continue
        plain = _plain(one.removeprefix("harmful:"))
        code = re.match(r"s00\d", plain)
        found = _HAZARDS.get(plain) or (_HAZARDS.get(code[0]) if code else None)
        if found is not None:
            return found
    return OTHER


def _plain(name: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", name[:200].casefold()))
