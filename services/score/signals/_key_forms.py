"""Structured forms of credentials, after what vendors publish about how their keys look."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class KeyForm:
    """One form of key.

    Attributes:
        label: what the span is called.
        source: the form in the subset that both hyperscan and `re` read; ASCII, bounded.
        fixed: number of leading characters that every key of the form shares and that are no part of its variety.
        confirms: whether a hit can be a confirmed leak; the others are only masked.
    """

    label: str
    source: str
    fixed: int = 0
    confirms: bool = True
    pattern: re.Pattern[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        bordered = rf"(?<![A-Za-z0-9_]){self.source}(?![A-Za-z0-9_])"
        object.__setattr__(self, "pattern", re.compile(bordered, re.ASCII))


FORMS: Final = (
    KeyForm("aws_access_key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}", 4),
    KeyForm("github_token", r"gh[pousr]_[A-Za-z0-9]{36,255}", 4),
    KeyForm("github_token", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", 11),
    KeyForm("gitlab_token", r"glpat-[A-Za-z0-9_-]{20,64}", 6),
    KeyForm("slack_token", r"xox[abeoprs]-[A-Za-z0-9-]{24,150}", 5),
    KeyForm("slack_token", r"xapp-[0-9]-[A-Z0-9]{9,13}-[0-9]{10,14}-[a-f0-9]{60,70}", 5),
    KeyForm("slack_webhook", r"hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24}", 25),
    KeyForm("anthropic_key", r"sk-ant-[a-z0-9]{3,8}-[A-Za-z0-9_-]{60,120}", 7),
    KeyForm("openai_key", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,200}", 8),
    KeyForm("openai_key", r"sk-[A-Za-z0-9]{48}", 3),
    KeyForm("openrouter_key", r"sk-or-v1-[0-9a-f]{64}", 9),
    KeyForm("google_api_key", r"AIza[A-Za-z0-9_-]{35}", 4),
    KeyForm("google_oauth_secret", r"GOCSPX-[A-Za-z0-9_-]{28}", 7),
    KeyForm("stripe_key", r"[sr]k_live_[A-Za-z0-9]{24,247}", 8),
    KeyForm("stripe_webhook_secret", r"whsec_[A-Za-z0-9+/]{32,64}", 6),
    KeyForm("npm_token", r"npm_[A-Za-z0-9]{36}", 4),
    KeyForm("pypi_token", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,250}", 20),
    KeyForm("huggingface_token", r"hf_[A-Za-z0-9]{34}", 3),
    KeyForm("groq_key", r"gsk_[A-Za-z0-9]{52}", 4),
    KeyForm("xai_key", r"xai-[A-Za-z0-9]{80}", 4),
    KeyForm("replicate_token", r"r8_[A-Za-z0-9]{37}", 3),
    KeyForm("twilio_key", r"SK[0-9a-f]{32}", 2),
    KeyForm("sendgrid_key", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", 3),
    KeyForm("mailgun_key", r"key-[0-9a-f]{32}", 4),
    KeyForm("mailchimp_key", r"[0-9a-f]{32}-us[0-9]{1,2}"),
    KeyForm("telegram_bot_token", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),
    KeyForm("discord_webhook", r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,72}", 24),
    KeyForm("digitalocean_token", r"do[opr]_v1_[0-9a-f]{64}", 7),
    KeyForm("shopify_token", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}", 6),
    KeyForm("square_token", r"sq0(?:atp|csp)-[A-Za-z0-9_-]{22,43}", 7),
    KeyForm("databricks_token", r"dapi[0-9a-f]{32}", 4),
    KeyForm("vault_token", r"hv[sb]\.[A-Za-z0-9_-]{90,300}", 4),
    KeyForm("docker_token", r"dckr_pat_[A-Za-z0-9_-]{27}", 9),
    KeyForm("atlassian_token", r"ATATT3xFfGF0[A-Za-z0-9_=-]{100,300}", 12),
    KeyForm("grafana_token", r"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}", 5),
    KeyForm("linear_key", r"lin_api_[A-Za-z0-9]{40}", 8),
    KeyForm("notion_token", r"ntn_[A-Za-z0-9]{43,50}", 4),
    KeyForm("azure_storage_key", r"AccountKey=[A-Za-z0-9+/]{86}==", 11),
    KeyForm("azure_client_secret", r"[A-Za-z0-9_~.]{3}8Q~[A-Za-z0-9_~.-]{31,34}"),
    KeyForm("age_key", r"AGE-SECRET-KEY-1[0-9A-Z]{58}", 16),
    KeyForm("stripe_test_key", r"[sr]k_test_[A-Za-z0-9]{24,247}", confirms=False),
    KeyForm("openai_key", r"sk-[A-Za-z0-9_-]{20,200}", confirms=False),
    KeyForm("anthropic_key", r"sk-ant-[A-Za-z0-9_-]{20,200}", confirms=False),
    KeyForm("twilio_account", r"AC[0-9a-f]{32}", confirms=False),
)
"""Forms that their prefix names. A hit is confirmed by its variety (`_placeholders`), not by its prefix alone."""

PEM: Final = re.compile(
    r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----([^-]{0,16000})(-----END [A-Z ]{10,40}-----)?"
)
JWT: Final = re.compile(
    r"(?<![A-Za-z0-9_-])(eyJ[A-Za-z0-9_-]{10,2000})\.(eyJ[A-Za-z0-9_-]{10,8000})\.([A-Za-z0-9_-]{20,1000})"
)

_URL = (
    r"(?:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mssql|sqlserver|clickhouse|ftp|https?)"
    r"(?:\+[a-z0-9]{2,12})?://[A-Za-z0-9._%+~-]{0,80}:([^\s:/@\"'<>]{1,120})@([^\s/:\"'<>]{1,200})"
)
URL_PASSWORD: Final = re.compile(rf"(?<![A-Za-z]){_URL}", re.ASCII)

_NAMED = (
    r"(?:pass(?:word|phrase|wd|code)|pwd|pin|secret|token|credentials?"
    r"|(?:api|access|secret|private|auth|license|encryption|admin|master)[ _-]?key"
    r"|(?:client|api|auth|app)[ _-]?secret"
    r"|(?:access|auth|secret|door|security|login|admin|master|override|activation|unlock|discount|promo)[ _-]?code)"
    r"(?: (?:for|to|of)(?: [A-Za-z0-9_'-]{1,20}){1,5})?[\"'`*]{0,3}\s{0,3}(?:is|are|=|:|=>|:=)[\s\"'`*]{0,6}"
    r"([^\s\"'`,;<>(){}\[\]]{6,200})"
)
ASSIGNMENT: Final = re.compile(rf"(?<![A-Za-z]){_NAMED}", re.ASCII | re.IGNORECASE)
"""A keyword and its value. Such a hit is masked; alone it never confirms a leak."""

PREFILTER: Final[Mapping[str, str]] = {
    **{str(index): form.source for index, form in enumerate(FORMS)},
    "pem": r"-----BEGIN [A-Z ]{0,24}PRIVATE KEY",
    "jwt": r"eyJ[A-Za-z0-9_-]{10}",
    "url": _URL,
    "assignment": _NAMED,
}
"""What one hyperscan pass looks for: the same forms without their borders, so wider and never narrower."""
