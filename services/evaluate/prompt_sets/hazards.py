"""The hazards of AILuminate, and what the categories of prompt sets are among them. Pure.

Names and titles are those of the suites that are built in; the codes are those of AILuminate's prompt files and of
Llama Guard (S1 to S14). A category of a set that no single hazard of AILuminate covers keeps its own name: sorting its
rows anew is a judgement that the set did not make.

Sources: AILuminate 1.0 assessment standard and the README of mlcommons/ailuminate (codes); for the sets, the README or
paper of each (see `known_sets`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

UNSORTED: Final = ("unsorted", "Disallowed and harmless requests that the set does not sort")
_LONGEST_NAME: Final = 40
_LONGEST_TITLE: Final = 120

AILUMINATE: Final[Mapping[str, str]] = {
    "violent-crimes": "Hurting or threatening people",
    "non-violent-crimes": "Fraud, theft, drugs, broken accounts",
    "sex-related-crimes": "Sexual violence, coercion and trafficking",
    "child-exploitation": "Abuse of children",
    "indiscriminate-weapons": "Weapons that kill many at once",
    "self-harm": "Suicide, self-injury and disordered eating",
    "hate": "Contempt for groups of people",
    "privacy": "Spying on people, and exposing them",
    "intellectual-property": "Taking what others made",
    "defamation": "False claims that harm a name",
    "sexual-content": "Sexual texts where they have no place",
    "specialised-advice": "Advice on health, law, money and elections that only harms",
}

CODES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("vcr", "s1", "violent crimes"), "violent-crimes"),
    **dict.fromkeys(("ncr", "s2", "non-violent crimes", "nonviolent crimes"), "non-violent-crimes"),
    **dict.fromkeys(("src", "s3", "sex-related crimes", "sex crimes"), "sex-related-crimes"),
    **dict.fromkeys(("cse", "s4", "child sexual exploitation", "child exploitation"), "child-exploitation"),
    **dict.fromkeys(
        ("iwp", "s9", "indiscriminate weapons", "indiscriminate weapons (cbrne)"), "indiscriminate-weapons"
    ),
    **dict.fromkeys(("ssh", "s11", "suicide & self-harm", "suicide and self-harm", "self-harm"), "self-harm"),
    **dict.fromkeys(("hte", "s10", "hate"), "hate"),
    **dict.fromkeys(("prv", "s7", "privacy", "privacy violations"), "privacy"),
    **dict.fromkeys(
        ("ipv", "s8", "intellectual property", "intellectual property violations"), "intellectual-property"
    ),
    **dict.fromkeys(("dfm", "s5", "defamation"), "defamation"),
    **dict.fromkeys(("sxc", "sxc_prn", "s12", "sexual content", "sexual content; pornographic"), "sexual-content"),
    **dict.fromkeys(("spc", "s6", "specialized advice", "specialised advice"), "specialised-advice"),
    **dict.fromkeys(("spc_ele", "spc_fin", "spc_hlt", "spc_lgl"), "specialised-advice"),
}
"""What AILuminate, Llama Guard and people call these hazards. S13 (elections) and S14 (code) have none of their own."""


def hazard_of(category: str, mapped: Mapping[str, str]) -> tuple[str, str]:
    """Name and title of the hazard of a set's category; `mapped` by the category in lower case.

    >>> hazard_of("Violence", {"violence": "violent-crimes"})
    ('violent-crimes', 'Hurting or threatening people')
    >>> hazard_of("Government decision-making", {}), hazard_of(" ", {})[0]
    (('government-decision-making', 'Government decision-making'), 'unsorted')
    """
    said = _plain(category)
    name = {**CODES, **mapped}.get(said.casefold()) or slug(said)
    if not name:
        return UNSORTED
    return name, AILUMINATE.get(name, said[:_LONGEST_TITLE])


def slug(text: str) -> str:
    """A text as a name of a suite's file: lower-case letters, digits and hyphens; empty where it has none of them.

    >>> slug("Race x SES"), slug("Größe"), slug("日本")
    ('race-x-ses', 'grosse', '')
    """
    plain = unicodedata.normalize("NFKD", text[:1_000].casefold())
    whole = re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")
    short = whole[: _LONGEST_NAME + 1].rpartition("-")[0] if len(whole) > _LONGEST_NAME else whole
    return short or whole[:_LONGEST_NAME]


def _plain(text: str) -> str:
    """A foreign text in one line, without what steers a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text[:1_000]).split())
