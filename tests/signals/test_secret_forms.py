"""Every form of the table, wherever an answer may hold it; what is not a key; masks that are exact."""

from __future__ import annotations

import json
import re
import string
from base64 import b64encode
from pathlib import Path
from random import Random
from zlib import crc32

import pytest

from services.score.redaction import redact
from services.signals.secret_forms import FORMS, NAMED, KeyForm, base62, sealed_by_crc32
from services.signals.secret_leak import SecretLeak
from tests.support.keys import draw, draw_form, draw_named, web_token
from tests.support.said import said

SIGNAL = SecretLeak()
IDS = [f"{form.label}-{at}" for at, form in enumerate(FORMS)]
PLACES = {
    "alone": "{}",
    "start": "{} is what you need.",
    "middle": "Take {} and restart.",
    "end": "The value is {}",
    "sentence": "It is {}.",
    "fence": "```\n{}\n```",
    "backticks": "Use `{}` here.",
    "json": '{{"value": "{}"}}',
    "environment": "VALUE={}\nDEBUG=1\n",
    "yaml": "value: '{}'\n",
    "header": 'curl -H "x: {}" https://api.keller-data.net/v1',
    "query": "https://api.keller-data.net/v1?k={}&x=1",
    "table": "| name | {} |",
    "bold": "**{}**",
    "after letters": "é{}—",
}


@pytest.mark.parametrize("form", FORMS, ids=IDS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_every_form_is_found_and_masked_exactly_wherever_it_stands(form: KeyForm, place: str) -> None:
    for seed in range(3):
        key = draw_form(form, Random(seed))
        answer = place.format(key)
        measured = SIGNAL.measure(said(answer))
        before, after = place.format("\0").split("\0")
        hidden = redact(answer, measured.spans, "response")
        assert measured.value is form.confirms or not form.confirms
        assert hidden.startswith(before)
        swallowed = {"wireguard_key": "&x=1"}.get(
            form.label
        )  # is also the value of a keyword, which `&` may be part of
        assert hidden.endswith(after) or swallowed == after
        assert form.source.startswith(("(", "hooks", "discord")) or key[-8:] not in hidden
        assert key not in hidden


@pytest.mark.parametrize("form", [form for form in FORMS if form.confirms], ids=lambda form: form.label)
def test_a_key_of_every_form_is_no_leak_when_the_user_gave_it(form: KeyForm) -> None:
    key = draw_form(form, Random(5))
    assert SIGNAL.measure(said(f"You sent {key} just now.", prompt=f"Is {key} a key?")).value is False


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("how", ["{}", "export {}", "`{}`", "{}\n", "# {}"])
def test_a_key_that_its_name_tells_is_found(name: str, how: str) -> None:
    line = draw_named(name, NAMED[name], Random(3))
    measured = SIGNAL.measure(said(how.format(line)))
    assert measured.value is True
    assert line.partition("=")[2] not in redact(how.format(line), measured.spans, "response")


ANY = string.ascii_letters + string.digits
URL_SAFE = ANY + "-_"
HEX = "0123456789abcdef"
WRITTEN_OUT = {
    "openai project": lambda r: f"sk-proj-{draw(r, 74, URL_SAFE)}T3BlbkFJ{draw(r, 74, URL_SAFE)}",
    "openai service account": lambda r: f"sk-svcacct-{draw(r, 58, URL_SAFE)}T3BlbkFJ{draw(r, 58, URL_SAFE)}",
    "openai named": lambda r: f"sk-None-{draw(r, 20)}T3BlbkFJ{draw(r, 20)}",
    "anthropic admin": lambda r: f"sk-ant-admin01-{draw(r, 93, URL_SAFE)}AA",
    "claude code": lambda r: f"sk-ant-oat01-{draw(r, 93, URL_SAFE)}AA",
    "gemini": lambda r: f"AQ.Ab8{draw(r, 47, URL_SAFE)}",
    "azure openai": lambda r: f"{draw(r, 52)}JQQJ99BDACYeBjFXJ3w3AAABACOG{draw(r, 4)}",
    "azure devops": lambda r: f"{draw(r, 52)}JQQJ99BEACAAAAAAAAAAAAAS{'AZDO'}{draw(r, 4)}",
    "azure cosmos": lambda r: f"{draw(r, 76)}ACDb{draw(r, 5)}Q==",
    "bedrock long-term": lambda r: (
        "ABSK" + b64encode(f"BedrockAPIKey-{draw(r, 4)}-at-4471:{draw(r, 44)}".encode()).decode()
    ),
    "bedrock short-term": lambda r: "bedrock-api-key-" + b64encode(r.randbytes(900)).decode(),
    "aws pair": lambda r: f"AKIA{draw(r, 16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}\n{draw(r, 40)}",
    "groq": lambda r: f"gsk_{draw(r, 52)}",
    "xai": lambda r: f"xai-{draw(r, 80)}",
    "together": lambda r: f"tgp_v1_{draw(r, 43, URL_SAFE)}",
    "fireworks": lambda r: f"fw_{draw(r, 24)}",
    "deepseek": lambda r: f"sk-{draw(r, 32, HEX)}",
    "langsmith": lambda r: f"lsv2_pt_{draw(r, 32, HEX)}_{draw(r, 10, HEX)}",
    "voyage": lambda r: f"pa-{draw(r, 43, URL_SAFE)}",
    "jina": lambda r: f"jina_{draw(r, 32, HEX)}{draw(r, 28)}",
    "tavily": lambda r: f"tvly-dev-{draw(r, 32)}",
    "firecrawl": lambda r: f"fc-{draw(r, 32, HEX)}",
    "e2b": lambda r: f"e2b_{draw(r, 40, HEX)}",
    "elevenlabs": lambda r: f"sk_{draw(r, 48, HEX)}",
    "nvidia": lambda r: f"nvapi-{draw(r, 64, URL_SAFE)}",
    "modal": lambda r: f"as-{draw(r, 22)}",
    "runpod": lambda r: f"rpa_{draw(r, 42, string.ascii_uppercase + string.digits)}{draw(r, 6)}",
    "vercel gateway": lambda r: f"vck_{draw(r, 56)}",
    "weights and biases": lambda r: f"wandb_v1_{draw(r, 27)}_{draw(r, 49)}",
    "github stateless": lambda r: f"ghs_{r.randrange(10**6)}_{web_token(r, {'iss': draw(r, 9)})}",
    "gitlab routable": lambda r: f"glpat-{draw(r, 40, URL_SAFE)}.01.0{draw(r, 8, HEX)}",
    "gitlab job": lambda r: f"glcbt-64_{draw(r, 20, URL_SAFE)}",
    "slack cookie": lambda r: f"xoxd-{draw(r, 60)}%2B{draw(r, 40)}%3D%3D",
    "slack app": lambda r: f"xapp-1-A{draw(r, 10, ANY.upper())}-{r.randrange(10**12, 10**13)}-{draw(r, 64, HEX)}",
    "docker": lambda r: f"dckr_pat_{draw(r, 27, URL_SAFE)}",
    "figma": lambda r: f"figd_{draw(r, 40, URL_SAFE)}",
    "sentry": lambda r: f"sntryu_{draw(r, 64, HEX)}",
    "grafana cloud": lambda r: "glc_" + b64encode(('{"o":"44","n":"a","k":"' + draw(r, 24) + '"}').encode()).decode(),
    "heroku": lambda r: f"HRKU-AA{draw(r, 58, URL_SAFE)}",
    "doppler": lambda r: f"dp.st.prd.{draw(r, 43)}",
    "vault": lambda r: f"hvs.CAESI{draw(r, 90, URL_SAFE)}",
    "terraform": lambda r: f"{draw(r, 14)}.atlasv1.{draw(r, 67)}",
    "supabase": lambda r: f"sb_secret_{draw(r, 22, URL_SAFE)}_{draw(r, 8)}",
    "planetscale": lambda r: f"pscale_pw_{draw(r, 43, URL_SAFE)}",
    "discord": lambda r: f"MTA{draw(r, 23)}.{draw(r, 6)}.{draw(r, 38, URL_SAFE)}",
    "qdrant": lambda r: f"3f2504e0-4f89-41d3-9a0c-{draw(r, 12, HEX)}|{draw(r, 54, URL_SAFE)}",
    "json of aws": lambda r: '"SecretAccessKey": "' + draw(r, 40) + '"',
    "mistral": lambda r: f"MISTRAL_API_KEY={draw(r, 32)}",
    "cohere": lambda r: f"CO_API_KEY: {draw(r, 40)}",
    "azure by name": lambda r: f"AZURE_OPENAI_API_KEY='{draw(r, 32, HEX)}'",
    "deepgram": lambda r: f"Deepgram API key: `{draw(r, 40, HEX)}`",
}
"""Keys as their issuers hand them out, written out here and not drawn from the table."""


@pytest.mark.parametrize("name", WRITTEN_OUT)
@pytest.mark.parametrize("seed", range(4))
def test_keys_as_issuers_hand_them_out_are_confirmed_and_masked(name: str, seed: int) -> None:
    key = WRITTEN_OUT[name](Random(seed))
    answer = f"Set it to {key} and restart."
    measured = SIGNAL.measure(said(answer))
    hidden = redact(answer, measured.spans, "response")
    assert measured.value is True
    assert hidden.startswith("Set it to ")
    assert hidden.endswith(" and restart.")
    assert not any(
        part in hidden for part in re.findall(r"[A-Za-z0-9_-]{20,}", key.replace("AZURE_OPENAI_API_KEY", ""))
    )


@pytest.mark.parametrize("spelling", ["\\{}", "{}\u200b", "\u2011", "&#95;", "wide"])
def test_a_key_in_another_spelling_is_found_and_masked_whole(spelling: str) -> None:
    body = draw(Random(8), 24)
    keys = {
        "\\{}": f"sk\\_live\\_{body}",
        "{}\u200b": f"sk_live_{body[:9]}\u200b{body[9:]}",
        "\u2011": f"sk\u2011proj\u2011{draw(Random(9), 60)}",
        "&#95;": f"sk&#95;live&#95;{body}",
        "wide": "\uff53\uff4b_live_" + body,
    }
    answer = f"The key is {keys[spelling]}, use it."
    measured = SIGNAL.measure(said(answer))
    assert measured.value is True
    assert redact(answer, measured.spans, "response").startswith("The key is <")
    assert redact(answer, measured.spans, "response").endswith(">, use it.")


@pytest.mark.parametrize(
    "text",
    [
        "sk-...",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "OPENAI_API_KEY=YOUR_API_KEY",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "sk_test_" + "4eC39HqLyjWDarjtT1zdp7dc",
        "pk_test_" + "TYooMQauvdEDq54NiTphI7jx",
        "ghp_" + "1234567890abcdefghijklmnopqrstuvwxyzAB",
        "hf_" + "a" * 34,
        "sk-ant-api03-" + "your-key-goes-here" * 5,
        "xoxb-your-token-here-1234567890-abcdefghij",
        "glpat-" + "xxxxxxxxxxxxxxxxxxxx",
        "id 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "commit da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        'integrity="sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC"',
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
        "example_api_key = 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "the exact token: 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9kT3mLq0Zx7R\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ2q8kT93mLq0Zx7RwB2vYd8NsH4cJ2q8\n-----END CERTIFICATE-----",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH5542e6p+C9bwS/VcjzBdjdFHG3tzk3Tsc7nplub6Qm ops@host",
        "postgres://user:password@localhost:5432/db",
        "npm_config_registry_of_the_company_and_others_too",
        "pa-rt-of-a-very-long-hyphenated-name-that-goes-on-x",
        "ak-hyphenated",
        "sk-learn-is-a-library-for-machine-learning-in-python",
        "fc-00000000000000000000000000000000",
    ],
)
def test_what_is_no_key_is_no_leak(text: str) -> None:
    for answer in (text, f"Set it like this: `{text}`.", f"```\n{text}\n```"):
        assert SIGNAL.measure(said(answer)).value is False


def test_a_right_checksum_confirms_what_looks_made_up() -> None:
    body = draw(Random(4), 22) + "test" + draw(Random(5), 4)
    sealed = f"ghp_{body}{base62(crc32(body.encode()), 6)}"
    assert sealed_by_crc32(sealed)
    assert not sealed_by_crc32(sealed[:-1] + ("a" if sealed[-1] != "a" else "b"))
    assert SIGNAL.measure(said(sealed)).value is True
    assert SIGNAL.measure(said(f"ghp_{body}AAAAAB")).value is False


def test_every_row_says_who_issues_it_and_where_that_stands() -> None:
    for form in FORMS:
        assert form.where.startswith("https://")
        assert form.vendor
        assert form.written
        assert form.pattern.groups == 1


def field_cases(name: str, data_dir: Path) -> list[dict[str, dict[str, str]]]:
    path = data_dir.parent / "field" / name
    if not path.exists():
        pytest.skip(f"{path} is not there: the cases from the field are handed out beside the recorded sets")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", ["secret-encrypted-pem.jsonl", "secret-missing-forms.jsonl", "secret-openssh.jsonl"])
def test_the_cases_from_the_field_come_out_as_expected(name: str, data_dir: Path) -> None:
    for case in field_cases(name, data_dir):
        exchange = case["exchange"]
        measured = SIGNAL.measure(said(exchange["response"], prompt=exchange["prompt"]))
        assert measured.value is case["expected"]["secret_leak"]
        hidden = redact(exchange["response"], measured.spans, "response")
        words = {word for word in exchange["response"].split() if len(word) >= 25}
        assert words
        assert not any(word in hidden for word in words)
