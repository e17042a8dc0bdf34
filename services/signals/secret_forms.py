"""The forms of keys that issuers publish: one row each, with who issues it and where the form is described.

A row's group is what differs from key to key; a hit is judged by it, never by its prefix alone. Where an issuer's keys
have no prefix of their own, the name beside them decides: `NAMED`. Forms of one deployment: `own_secret_forms`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

WRITTEN: Final = "2026-11-30"
"""When the rows were last held against their sources."""

_GITHUB: Final = "https://docs.github.com/en/code-security/reference/secret-security/supported-secret-scanning-patterns"
_GITLEAKS: Final = "https://github.com/gitleaks/gitleaks/tree/master/cmd/generate/config/rules"
_AZURE: Final = "https://github.com/microsoft/security-utilities"
_GITLAB: Final = "https://docs.gitlab.com/security/tokens/#token-prefixes"
_APP_TOKENS: Final = (
    "https://github.blog/changelog/2026-05-15-github-app-installation-tokens-per-request-override-header/"
)
_CHECKSUM: Final = "https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/"
_GEMINI: Final = "https://ai.google.dev/gemini-api/docs/api-key"
_BEDROCK: Final = "https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html"
_SLACK: Final = "https://docs.slack.dev/authentication/tokens/"

_JUDGED: Final = 160
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def base62(number: int, width: int) -> str:
    """A number in 62 digits, zeros first: how GitHub and npm write checksums."""
    digits = ""
    while number:
        number, last = divmod(number, 62)
        digits = _DIGITS[last] + digits
    return digits.rjust(width, "0")


def sealed_by_crc32(key: str) -> bool:
    """Whether a key ends in the CRC-32 of what stands between its underscore and its last six characters."""
    body = key.rpartition("_")[2]
    return body[-6:] == base62(crc32(body[:-6].encode()), 6)


@dataclass(frozen=True, slots=True)
class KeyForm:
    """One form of key.

    Attributes:
        label: what the mask is called. vendor: who issues it.
        source: the form, in the subset that both hyperscan and `re` read; ASCII, bounded, with one group.
        where: a page that describes it, or its issuer's own about its keys.
        confirms: whether a hit can be a confirmed leak; the others are only masked.
        border: characters of which none may stand right before or after a key.
        sealed: says whether the checksum of a key is right; such a key is no stand-in whatever it looks like.
        written: when the row was written or last changed.
        look: the beginning of the form that the first fast pass looks for, where the whole of it would be slow.
    """

    label: str
    vendor: str
    source: str
    where: str = _GITLEAKS
    confirms: bool = True
    border: str = "A-Za-z0-9_"
    sealed: Callable[[str], bool] | None = None
    written: str = WRITTEN
    look: str = ""
    pattern: re.Pattern[str] = field(init=False, compare=False, repr=False)

    def body(self, match: re.Match[str]) -> str:
        """What is judged of a hit: its group, without the marks that stand for others in URLs or part it.

        Of a long one the end: in a thousand random characters some short word stands by chance.
        """
        return match[1].replace("%", "").replace("$", "")[-_JUDGED:]

    @property
    def longest(self) -> int:
        """Characters that a key may have, at most."""
        counts = re.findall(r"\{(?:\d+,)?(\d+)\}", self.source)
        return len(self.source) + sum(map(int, counts))

    def __post_init__(self) -> None:
        # The border is looked at after the letters that all keys of the form begin with: `re` then leaps to these.
        begins = re.match(r"(?:[A-Za-z0-9_](?![?*+{]))*", self.source)
        head = begins[0] if begins else ""
        bordered = rf"{head}(?<![{self.border}]{head}){self.source[len(head) :]}(?![{self.border}])"
        object.__setattr__(self, "pattern", re.compile(bordered, re.ASCII))


_B64: Final = "A-Za-z0-9_+/"
_Form = KeyForm

MODELS: Final = (
    _Form("anthropic_key", "Anthropic", r"sk-ant-[a-z0-9]{3,8}-([A-Za-z0-9_-]{60,130})", _GITHUB),
    _Form("openai_key", "OpenAI", r"sk-(?:proj|svcacct|admin|service|None)-([A-Za-z0-9_-]{40,200})", _GITHUB),
    _Form("openai_key", "OpenAI", r"sk-([A-Za-z0-9]{48})", _GITHUB),
    _Form("openai_key", "OpenAI", r"sk-[A-Za-z0-9-]{1,40}-([A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})"),
    _Form("openai_session", "OpenAI", r"sess-([A-Za-z0-9]{40})"),
    _Form("openrouter_key", "OpenRouter", r"sk-or-v1-([0-9a-f]{64})", _GITHUB),
    _Form("deepseek_key", "DeepSeek, Alibaba Model Studio", r"sk-([0-9a-f]{32})", _GITHUB),
    _Form("google_api_key", "Google", r"AIza([A-Za-z0-9_-]{35})"),
    _Form("google_auth_key", "Google", r"AQ\.([A-Za-z0-9_-]{40,160})", _GEMINI),
    _Form("groq_key", "Groq", r"gsk_([A-Za-z0-9]{52})", _GITHUB),
    _Form("xai_key", "xAI", r"xai-([A-Za-z0-9]{70,90})", _GITHUB),
    _Form("perplexity_key", "Perplexity", r"pplx-([A-Za-z0-9]{48,56})"),
    _Form("replicate_token", "Replicate", r"r8_([A-Za-z0-9]{37})", _GITHUB),
    _Form("huggingface_token", "Hugging Face", r"hf_([A-Za-z0-9]{34,40})"),
    _Form("huggingface_token", "Hugging Face", r"api_org_([A-Za-z0-9]{34})"),
    _Form(
        "together_key",
        "Together AI",
        r"tgp_v1_([A-Za-z0-9_-]{43})",
        "https://docs.together.ai/docs/api-keys-authentication",
    ),
    _Form("fireworks_key", "Fireworks AI", r"fw_([A-Za-z0-9]{20,28})", _GITHUB),
    _Form("cerebras_key", "Cerebras", r"csk-([a-z0-9]{48})", "https://inference-docs.cerebras.ai/quickstart"),
    _Form("nvidia_key", "NVIDIA", r"nvapi-([A-Za-z0-9_-]{60,70})", _GITHUB),
    _Form("anyscale_key", "Anyscale", r"esecret_([a-z0-9]{40})"),
    _Form("langfuse_key", "Langfuse", rf"sk-lf-({_UUID})", "https://langfuse.com/faq/all/where-are-langfuse-api-keys"),
    _Form("langsmith_key", "LangSmith", r"lsv2_(?:pt|sk)_([0-9a-f]{32}_[0-9a-f]{10})", _GITHUB),
    _Form("langsmith_key", "LangSmith", r"ls__([0-9a-f]{32})", _GITHUB),
    _Form(
        "helicone_key",
        "Helicone",
        r"sk-helicone-(?:eu-)?([a-z0-9]{7}-[a-z0-9]{7}-[a-z0-9]{7}-[a-z0-9]{7})",
        "https://docs.helicone.ai",
    ),
    _Form("pinecone_key", "Pinecone", r"pcsk_([A-Za-z0-9]{4,8}_[A-Za-z0-9]{50,80})", _GITHUB),
    _Form(
        "qdrant_key",
        "Qdrant",
        rf"({_UUID}\|[A-Za-z0-9_-]{{40,100}})",
        "https://qdrant.tech/documentation/cloud/authentication/",
    ),
    _Form("chroma_key", "Chroma", r"ck-([A-Za-z0-9]{44})", "https://docs.trychroma.com/cloud/getting-started"),
    _Form(
        "voyage_key",
        "Voyage AI",
        r"(?:pa|al)-([A-Za-z0-9_-]{43})",
        "https://docs.voyageai.com/docs/api-key-and-installation",
    ),
    _Form("jina_key", "Jina AI", r"jina_([A-Za-z0-9_-]{50,64})", "https://jina.ai/api-dashboard/"),
    _Form("nomic_key", "Nomic", r"nk-([A-Za-z0-9_-]{43})", "https://docs.nomic.ai"),
    _Form("llamacloud_key", "LlamaCloud", r"llx-([A-Za-z0-9]{48})", "https://developers.llamaindex.ai"),
    _Form("tavily_key", "Tavily", r"tvly-(?:dev-|prod-)?([A-Za-z0-9_-]{28,64})", "https://docs.tavily.com"),
    _Form("firecrawl_key", "Firecrawl", r"fc-([0-9a-f]{32})", "https://docs.firecrawl.dev"),
    _Form("e2b_key", "E2B", r"e2b_([0-9a-f]{40})", "https://e2b.dev/docs/api-key"),
    _Form("browserbase_key", "Browserbase", r"bb_live_([A-Za-z0-9_-]{26,28})", "https://docs.browserbase.com"),
    _Form("apify_token", "Apify", r"apify_api_([A-Za-z0-9]{36})", _GITHUB),
    _Form("elevenlabs_key", "ElevenLabs", r"sk_([0-9a-f]{48})", _GITHUB),
    _Form("cartesia_key", "Cartesia", r"sk_car_([A-Za-z0-9_-]{22})", "https://docs.cartesia.ai"),
    _Form("modal_token", "Modal", r"a[ks]-([A-Za-z0-9]{22})", "https://modal.com/docs/guide/modal-user-account-setup"),
    _Form("runpod_key", "RunPod", r"rpa_([A-Za-z0-9]{40,60})", "https://docs.runpod.io/get-started/api-keys"),
    _Form("wandb_key", "Weights & Biases", r"wandb_v1_([A-Za-z0-9]{20,32}_[A-Za-z0-9]{40,60})", _GITHUB),
    _Form("mem0_key", "Mem0", r"m0-([A-Za-z0-9]{40})", "https://docs.mem0.ai"),
    _Form("cursor_key", "Cursor", r"(?:key|crsr)_([0-9a-f]{64})", "https://cursor.com/docs/account/teams/admin-api"),
    _Form("context7_key", "Context7", rf"ctx7sk-({_UUID})", "https://context7.com/docs"),
    _Form("zhipu_key", "Zhipu", r"([0-9a-f]{32}\.[A-Za-z0-9]{16})", "https://docs.bigmodel.cn"),
    _Form("yandex_key", "Yandex Cloud", r"AQVN([A-Za-z0-9_-]{35,38})"),
)
"""Issuers of the LLM stack."""

CLOUDS: Final = (
    _Form("aws_access_key", "AWS", r"(?:AKIA|ASIA|ABIA|ACCA)([A-Z2-7]{16})"),
    _Form(
        "aws_key_pair",
        "AWS",
        r"(?:AKIA|ASIA)[A-Z2-7]{16}[\"'`]{0,2}[ ,;:/|\t\n]{1,4}[\"'`]{0,2}([A-Za-z0-9/+]{40})",
        border=_B64,
    ),
    _Form("bedrock_key", "AWS", r"ABSK([A-Za-z0-9+/]{80,300}={0,2})", _BEDROCK, border=_B64),
    _Form("bedrock_key", "AWS", r"bedrock-api-key-([A-Za-z0-9+/]{100,4000}={0,2})", _BEDROCK),
    _Form("google_oauth_secret", "Google", r"GOCSPX-([A-Za-z0-9_-]{28})"),
    _Form("google_access_token", "Google", r"ya29\.([A-Za-z0-9_-]{30,2000})"),
    _Form("google_refresh_token", "Google", r"1//0([A-Za-z0-9_-]{40,160})", _GITHUB),
    _Form("azure_storage_key", "Azure", r"AccountKey=([A-Za-z0-9+/]{86}==)", _AZURE),
    _Form("azure_shared_key", "Azure", r"SharedAccessKey=([A-Za-z0-9+/]{43}=)", _AZURE),
    _Form(
        "azure_ai_key",
        "Azure",
        r"([A-Za-z0-9]{52})JQQJ9[9DH][A-Za-z0-9][A-L][A-Za-z0-9]{24}(?:[A-Za-z0-9]{2}==)?",
        _AZURE,
        look=r"JQQJ9[9DH][A-Za-z0-9][A-L][A-Za-z0-9]{24}",
    ),
    _Form(
        "azure_devops_token",
        "Azure",
        r"([A-Za-z0-9]{52})[A-Za-z0-9]{24}AZD[Oo][A-Za-z0-9]{4}",
        _AZURE,
        look=r"AZD[Oo][A-Za-z0-9]{4}",
    ),
    _Form(
        "azure_key",
        "Azure",
        r"([A-Za-z0-9+/]{76}(?:\+ASt|ACD[Bb]|\+ABa|APIM|\+AMC)[A-Za-z0-9+/]{6}==)",
        _AZURE,
        border=_B64,
        look=r"(?:\+ASt|ACD[Bb]|\+ABa|APIM|\+AMC)[A-Za-z0-9+/]{6}==",
    ),
    _Form(
        "azure_key",
        "Azure",
        r"([A-Za-z0-9+/]{33}(?:\+ASb|\+AEh|AIoT|AZEG|AzCa)[A-Za-z0-9+/]{6}=)",
        _AZURE,
        border=_B64,
        look=r"(?:\+ASb|\+AEh|AIoT|AZEG|AzCa)[A-Za-z0-9+/]{6}=",
    ),
    _Form(
        "azure_key",
        "Azure",
        r"([A-Za-z0-9+/]{42}(?:AzSe|\+ACR)[A-D][A-Za-z0-9+/]{5})",
        _AZURE,
        border=_B64,
        look=r"(?:AzSe|\+ACR)[A-D][A-Za-z0-9+/]{5}",
    ),
    _Form(
        "azure_functions_key",
        "Azure",
        r"([A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{5}[AQgw]==)",
        _AZURE,
        border="A-Za-z0-9_-",
        look=r"AzFu[A-Za-z0-9_-]{5}[AQgw]==",
    ),
    _Form(
        "azure_client_secret",
        "Azure",
        r"([A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.-]{30,33}[A-Za-z0-9_~-])",
        look=r"[78]Q~[A-Za-z0-9_~.-]{31}",
    ),
    _Form("azure_sas", "Azure", r"&sig=([A-Za-z0-9%/+]{40,70}(?:%3D|=))", _AZURE),
    _Form("alibaba_access_key", "Alibaba Cloud", r"LTAI([A-Za-z0-9]{17,24})"),
    _Form("tencent_access_key", "Tencent Cloud", r"AKID([A-Za-z0-9]{32})", _GITHUB),
    _Form("digitalocean_token", "DigitalOcean", r"do[opr]_v1_([0-9a-f]{64})"),
    _Form(
        "cloudflare_token",
        "Cloudflare",
        r"cf(?:k|ut|at)_([A-Za-z0-9_-]{40,60})",
        "https://developers.cloudflare.com/fundamentals/api/get-started/token-formats/",
    ),
    _Form("cloudflare_key", "Cloudflare", r"v1\.0-([0-9a-f]{24}-[0-9a-f]{146})"),
    _Form("heroku_key", "Heroku", rf"HRKU-((?:AA[A-Za-z0-9_-]{{58}})|{_UUID})"),
    _Form("vercel_token", "Vercel", r"vc[acikpr]_([A-Za-z0-9]{24,64})", _GITHUB),
    _Form("netlify_token", "Netlify", r"nf[pcoub]_([A-Za-z0-9_]{36,40})", _GITHUB),
    _Form("fly_token", "Fly.io", r"fm[12][ar]?_([A-Za-z0-9+/]{80,1000}={0,3})"),
    _Form("render_key", "Render", r"rnd_([A-Za-z0-9]{28,40})", "https://render.com/docs/api"),
    _Form("databricks_token", "Databricks", r"dapi([0-9a-f]{32})(?:-[0-9])?"),
    _Form("databricks_secret", "Databricks", r"dose([0-9a-f]{32})", _GITHUB),
    _Form("supabase_token", "Supabase", r"sbp_([0-9a-f]{40})", _GITHUB),
    _Form("supabase_key", "Supabase", r"sb_secret_([A-Za-z0-9_-]{22}_[A-Za-z0-9_-]{8})", _GITHUB),
    _Form("planetscale_secret", "PlanetScale", r"pscale_(?:tkn|pw|oauth)_([A-Za-z0-9_=.-]{31,63}[A-Za-z0-9_=-])"),
    _Form("neon_key", "Neon", r"napi_([a-z0-9]{50,80})", "https://neon.com/docs/manage/api-keys"),
    _Form("neon_password", "Neon", r"npg_([A-Za-z0-9]{12,16})", "https://neon.com/docs/connect/connect-from-any-app"),
    _Form("vault_token", "HashiCorp", r"hv[sbr]\.([A-Za-z0-9_-]{24,300})"),
    _Form("terraform_token", "HashiCorp", r"([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70})", look=r"\.atlasv1\."),
    _Form(
        "doppler_token",
        "Doppler",
        r"dp\.(?:pt|ct|st|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?([A-Za-z0-9]{40,44})",
        _GITHUB,
    ),
    _Form("pulumi_token", "Pulumi", r"pul-([0-9a-f]{40})"),
    _Form("tailscale_key", "Tailscale", r"tskey-[a-z]{3,10}-([A-Za-z0-9]{10,24}-[A-Za-z0-9]{20,40})", _GITHUB),
    _Form("onepassword_token", "1Password", r"ops_(eyJ[A-Za-z0-9+/]{250,2000}={0,3})"),
    _Form("age_key", "age", r"AGE-SECRET-KEY-1([0-9A-Z]{58})"),
    _Form(
        "wireguard_key",
        "WireGuard",
        r"PrivateKey ?= ?([A-Za-z0-9+/]{43}=)",
        "https://www.wireguard.com/quickstart/",
        border=_B64,
    ),
    _Form(
        "xml_private_key",
        ".NET",
        r"<D>([A-Za-z0-9+/]{43,700}={0,2})</D>",
        "https://learn.microsoft.com/dotnet/api/system.security.cryptography.rsa.toxmlstring",
        border=_B64,
    ),
)
"""Clouds, their databases and their vaults."""

CODE: Final = (
    _Form("github_token", "GitHub", r"gh[pousr]_([A-Za-z0-9]{36,255})", _CHECKSUM, sealed=sealed_by_crc32),
    _Form("github_token", "GitHub", r"github_pat_([A-Za-z0-9]{22}_[A-Za-z0-9]{59})", _CHECKSUM),
    _Form(
        "github_token",
        "GitHub",
        r"gh[su]_[0-9]{1,12}_(eyJ[A-Za-z0-9_-]{10,400}\.[A-Za-z0-9_-]{20,2000}\.[A-Za-z0-9_-]{20,800})",
        _APP_TOKENS,
        look=r"gh[su]_[0-9]{1,12}_eyJ[A-Za-z0-9_-]{10}",
    ),
    _Form(
        "gitlab_token",
        "GitLab",
        r"gl(?:pat|dt|rtr|rt|ptt|cbt|ft|imt|agent|soat|ffct|oas|wt)-([A-Za-z0-9_-]{20,300}(?:(?:\.[0-9a-z]{2})?\.[0-9a-z]{7,9})?)",
        _GITLAB,
    ),
    _Form("gitlab_token", "GitLab", r"GR1348941([A-Za-z0-9_-]{20})", _GITLAB),
    _Form("atlassian_token", "Atlassian", r"AT[AC]TT3xFfG([A-Za-z0-9_=-]{100,300})"),
    _Form("bitbucket_password", "Atlassian", r"ATBB([A-Za-z0-9]{32})", _GITHUB),
    _Form("npm_token", "npm", r"npm_([A-Za-z0-9]{36})", sealed=sealed_by_crc32),
    _Form("pypi_token", "PyPI", r"pypi-(AgE[A-Za-z0-9_-]{60,300})", "https://pypi.org/help/#apitoken"),
    _Form("rubygems_key", "RubyGems", r"rubygems_([0-9a-f]{48})"),
    _Form("nuget_key", "NuGet", r"oy2([a-z0-9]{43})", _GITHUB),
    _Form("clojars_token", "Clojars", r"CLOJARS_([a-z0-9]{60})"),
    _Form("jfrog_key", "JFrog", r"AKCp([A-Za-z0-9]{69})"),
    _Form("docker_token", "Docker", r"dckr_(?:pat|oat)_([A-Za-z0-9_-]{27,40})", _GITHUB),
    _Form("sourcegraph_token", "Sourcegraph", r"sgp_(?:[0-9a-f]{16}_|local_)?([0-9a-f]{40})"),
    _Form("sonarqube_token", "Sonar", r"sq[upa]_([0-9a-f]{40})", _GITHUB),
    _Form("buildkite_token", "Buildkite", r"bk[a-z]{1,3}_([0-9a-f]{40})", _GITHUB),
    _Form("postman_key", "Postman", r"PMAK-([0-9a-f]{24}-[0-9a-f]{34})"),
    _Form("sentry_token", "Sentry", r"sntrys_(eyJ[A-Za-z0-9+/]{60,400}={0,2}_[A-Za-z0-9+/]{43})"),
    _Form("sentry_token", "Sentry", r"sntryu_([0-9a-f]{64})"),
    _Form("grafana_token", "Grafana", r"glsa_([A-Za-z0-9]{32}_[0-9a-fA-F]{8})"),
    _Form("grafana_token", "Grafana", r"glc_([A-Za-z0-9+/]{32,400}={0,3})"),
    _Form("newrelic_key", "New Relic", r"NRAK-([A-Z0-9]{27})"),
    _Form("newrelic_key", "New Relic", r"NRII-([A-Za-z0-9_-]{32})"),
    _Form("dynatrace_token", "Dynatrace", r"dt0[a-z][0-9]{2}\.([A-Z0-9]{24}\.[A-Z0-9]{64})"),
    _Form("posthog_key", "PostHog", r"phx_([A-Za-z0-9]{43,48})", _GITHUB),
    _Form("prefect_key", "Prefect", r"pnu_([A-Za-z0-9]{36})"),
)
"""Code, packages and how they are watched."""

SERVICES: Final = (
    _Form("slack_token", "Slack", r"xox[abcdeoprs]-([A-Za-z0-9-]{24,300})", _SLACK),
    _Form(
        "slack_cookie",
        "Slack",
        r"xoxd-([A-Za-z0-9%/+-]{40,400}(?:%3D|=){0,2})",
        _SLACK,
        look=r"xoxd-[A-Za-z0-9%/+-]{40}",
    ),
    _Form("slack_token", "Slack", r"xoxe\.xox[bp]-([A-Za-z0-9-]{100,260})", _SLACK),
    _Form("slack_token", "Slack", r"xapp-[0-9]-([A-Z0-9]{9,13}-[0-9]{10,14}-[a-f0-9]{60,70})", _SLACK),
    _Form(
        "slack_webhook", "Slack", r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{35,100})", _SLACK
    ),
    _Form("discord_webhook", "Discord", r"discord(?:app)?\.com/api/webhooks/([0-9]{17,20}/[A-Za-z0-9_-]{60,72})"),
    _Form("discord_token", "Discord", r"([MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38})", _GITHUB),
    _Form("telegram_bot_token", "Telegram", r"[0-9]{8,10}:(AA[A-Za-z0-9_-]{33})"),
    _Form("stripe_key", "Stripe", r"[sr]k_(?:org_)?live_([A-Za-z0-9]{24,247})"),
    _Form("stripe_webhook_secret", "Stripe", r"whsec_([A-Za-z0-9+/]{32,64})", _GITHUB),
    _Form("twilio_key", "Twilio", r"SK([0-9a-f]{32})"),
    _Form("sendgrid_key", "SendGrid", r"SG\.([A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})"),
    _Form("mailgun_key", "Mailgun", r"key-([0-9a-f]{32})"),
    _Form("mailgun_key", "Mailgun", r"([0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8})"),
    _Form("mailchimp_key", "Mailchimp", r"([0-9a-f]{32})-us[0-9]{1,2}"),
    _Form("brevo_key", "Brevo", r"xkeysib-([0-9a-f]{64}-[A-Za-z0-9]{16})"),
    _Form(
        "resend_key",
        "Resend",
        r"re_([A-Za-z0-9]{8}_[A-Za-z0-9]{24})",
        "https://resend.com/docs/api-reference/introduction",
    ),
    _Form("shopify_token", "Shopify", r"shp(?:at|ca|pa|ss|tka)_([0-9a-fA-F]{32})"),
    _Form("square_token", "Square", r"sq0(?:atp|csp)-([A-Za-z0-9_-]{22,43})"),
    _Form("square_token", "Square", r"EAAA([A-Za-z0-9_-]{60})"),
    _Form("paypal_token", "PayPal Braintree", r"access_token\$production\$([0-9a-z]{16}\$[0-9a-f]{32})"),
    _Form("razorpay_key", "Razorpay", r"rzp_live_([A-Za-z0-9]{14,24})", _GITHUB),
    _Form("shippo_token", "Shippo", r"shippo_live_([0-9a-f]{40})"),
    _Form("facebook_token", "Meta", r"EAA[A-Z]([A-Za-z0-9]{100,250})"),
    _Form("notion_token", "Notion", r"ntn_([A-Za-z0-9]{43,50})"),
    _Form("notion_token", "Notion", r"secret_([A-Za-z0-9]{43})", _GITHUB),
    _Form("linear_key", "Linear", r"lin_(?:api|oauth)_([A-Za-z0-9]{40,64})"),
    _Form("figma_token", "Figma", r"fig(?:d|ur|or|oh|ou|u)_([A-Za-z0-9_-]{36,60})", _GITHUB),
    _Form("airtable_token", "Airtable", r"pat([A-Za-z0-9]{14}\.[0-9a-f]{64})"),
    _Form("hubspot_token", "HubSpot", rf"pat-(?:na|eu|ap)[0-9]-({_UUID})", _GITHUB),
    _Form("contentful_token", "Contentful", r"CFPAT-([A-Za-z0-9_-]{43})", _GITHUB),
    _Form("typeform_token", "Typeform", r"tfp_([A-Za-z0-9_.-]{43,59}[A-Za-z0-9_-])"),
)
"""Services that applications call."""

MASKED: Final = (
    _Form("stripe_test_key", "Stripe", r"[sr]k_test_([A-Za-z0-9]{24,247})", confirms=False),
    _Form("openai_key", "any of sk-", r"sk-([A-Za-z0-9_-]{20,200})", confirms=False),
    _Form("langfuse_public_key", "Langfuse", rf"pk-lf-({_UUID})", confirms=False),
    _Form("twilio_account", "Twilio", r"AC([0-9a-f]{32})", confirms=False),
    _Form(
        "bearer_token",
        "any",
        r"[Bb]earer ([A-Za-z0-9_.~+/-]{19,2000}[A-Za-z0-9_~+/-]={0,2})",
        confirms=False,
        border=_B64,
        look="[Bb]earer [A-Za-z0-9_.~+/-]{20}",
    ),
)
"""What is masked and never a leak by itself: test keys, account numbers, what only looks like a key."""

FORMS: Final = (*MODELS, *CLOUDS, *CODE, *SERVICES, *MASKED)

NAMED: Final[Mapping[str, str]] = {
    "aws[_-]?secret|secret[_-]?access": r"[A-Za-z0-9/+]{40}",
    "aws[_-]?session|session[_-]?token": r"[A-Za-z0-9/+]{90,1200}={0,2}",
    "azure|aoai": r"[0-9a-f]{32}",
    "mistral|codestral": r"[A-Za-z0-9]{32}",
    "cohere|co[_-]api": r"[A-Za-z0-9]{40}",
    "deepgram|serper": r"[0-9a-f]{40}",
    "assemblyai|aai[_-]": r"[0-9a-f]{32}",
    "together": r"[0-9a-f]{64}",
    "wandb": r"[0-9a-f]{40}",
    "weaviate": r"[A-Za-z0-9]{36}",
    "qdrant": r"[A-Za-z0-9_-]{40,120}",
    "exa[_-]|sambanova|heroku|railway|lakera": _UUID,
    "datadog|dd[_-]a[a-z]{2,14}": r"[0-9a-f]{32}(?:[0-9a-f]{8})?",
    "cloudflare|cf[_-]": r"[A-Za-z0-9_-]{37,40}",
    "twilio|algolia|fastly": r"[0-9a-f]{32}",
    "serpapi": r"[0-9a-f]{64}",
    "ai21|deepinfra|hyperbolic|novita": r"[A-Za-z0-9]{32,40}",
    "okta": r"00[A-Za-z0-9_-]{40}",
}
"""Keys without a prefix: a word of the name that stands before `=` or `:`, and the form of the value."""


def prefilter(form: KeyForm) -> str:
    """The form as hyperscan looks for it: as short as it may be, so that one key is reported about once."""
    return form.look or re.sub(r"\{([1-9]\d*),\d*\}(=\{0,\d\})?(\))?$", r"{\1}\3", form.source)
