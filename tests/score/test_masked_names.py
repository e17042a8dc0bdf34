"""What publishers call things: names, tags, models and endpoints leave masked, ordinary ones as they came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.base import LONGEST_ID
from schemas.identity import LONGEST_ENDPOINT, LONGEST_NAME, Model, identity_of
from schemas.score import ScoreBlock
from services.monitor import RoutePolicy
from services.score.core import ExchangeScorer
from services.score.redaction import Redactor
from services.signals import SIGNALS
from services.signals.protocol import Measurement
from tests.support.scoring import Says, SeededEmbedder, received, scorer

MAIL = "erika.mustermann@web.de"
KEY = "sk-proj-abcdEFGH1234567890abcdEFGH1234567890"
ORDINARY = (
    "gpt-4-0613",
    "gpt-4o-mini-2024-07-18",
    "ft:gpt-4o:acme:support-v3:9xYz12Ab",
    "ft:gpt-3.5-turbo-0125:my-org:custom_suffix:8AbCdEfGh",
    "claude-3-5-sonnet-20241022",
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-5-sonnet-20240620-v1:0",
    "accounts/fireworks/models/llama-v3p1-405b-instruct",
    "projects/123456789012/locations/us-central1/endpoints/4567890123456789012",
    "meta/llama-2-70b-chat:02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3",
    "gemini-2.0-flash-thinking-exp-1219",
    "command-r-plus-08-2024",
    "harbour-chat-2026-02",
    "fp_44709d6fcb",
    "fp_1234567890",
)
ENDPOINTS = (
    "https://api.openai.com/v1",
    "http://10.0.0.5:8000/v1",
    "http://192.168.178.201:11434/api/chat",
    "https://res.openai.azure.com/openai/deployments/gpt4/chat/completions?api-version=2024-06-01",
    "https://eu.example/v1/projects/123456789012/locations/eu/endpoints/4567890123456789012:predict?a=%20b#top",
    "https://api.cloudflare.com/client/v4/accounts/023e105f4ecef8ad9ca31a8372d0c353/ai/run",
    "vllm-7d9f8b6c5d-x2k4q.default.svc.cluster.local:8000",
)


FINDERS = tuple(signal for signal in SIGNALS if signal.spec.redacts)


def real() -> ExchangeScorer:
    return ExchangeScorer(SeededEmbedder(), lambda route: RoutePolicy(keep_text="all"), signals=FINDERS)


def test_no_name_that_a_publisher_chooses_leaves_in_clear() -> None:
    model = {
        "provider": KEY,
        "requested": f"ft:{MAIL}",
        "served": f"acme/{KEY}",
        "fingerprint": MAIL,
        "endpoint": f"https://llm.example/{KEY}/v1/{MAIL}",
        "system_prompt_sha256": MAIL,
    }
    sent = received(model=model, tags={MAIL: "a", KEY: MAIL}, user=MAIL, conversation=MAIL, id=MAIL)
    scored = real().score([sent])
    [block] = scored.blocks
    left = "".join(one.encode().decode() for one in (*scored.blocks, *scored.samples))
    assert "mustermann" not in left
    assert KEY[8:] not in left
    assert len(block.tags[0]) == 2
    assert scored.samples[0].identity in block.identities


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_name_of_a_model_stays_what_it_is_and_so_does_its_identity(name: str) -> None:
    model = Model(provider=name, requested=name, served=name, fingerprint=name)
    assert Redactor().model(model) is model


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_ordinary_endpoint_stays_what_it_is(endpoint: str) -> None:
    model = Model(requested="gpt-4", endpoint=endpoint, tools_sha256="4155550123" * 6 + "beef")
    assert Redactor().model(model) is model


def test_the_models_of_recorded_data_keep_their_identities(data_dir: Path) -> None:
    redactor, names = Redactor(), set[str]()
    for path in sorted(data_dir.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            names.update(str(name) for line in lines if (name := json.loads(line).get("model")))
    assert names
    models = [Model(requested=name, served=name) for name in sorted(names)]
    assert [identity_of(redactor.model(one)) for one in models] == [identity_of(one) for one in models]


def test_two_masked_models_stay_two() -> None:
    redactor = Redactor()
    names = {redactor.model(Model(requested=f"ft:{who}@web.de")).requested for who in ("erika", "frieda")}
    assert len(names) == 2


def mails(n: int) -> str:
    return " ".join(f"a{i}@b.de" for i in range(n))


def test_an_id_whose_masks_make_it_too_long_costs_nobody_anything() -> None:
    id, other = mails(56), mails(55) + " b@b.de"
    assert len(id) <= LONGEST_ID < len(Redactor().name(id))
    scored = real().score([received(0), received(1, id=id), received(2, id=other), received(3)])
    assert not scored.dead
    [block] = scored.blocks
    assert [len(one) for one in block.id] == [2, LONGEST_ID, LONGEST_ID, 2]
    assert len(set(block.id)) == 4
    assert [one.id for one in scored.samples] == list(block.id)
    assert ScoreBlock.decode(block.encode()) == block


def test_a_model_whose_masks_make_it_long_is_no_longer_than_one_may_be() -> None:
    sent = Model(requested=mails(56), endpoint="https://llm.example/" + mails(200).replace(" ", "/"))
    masked = Redactor().model(sent)
    assert (len(masked.requested), len(masked.endpoint or "")) == (LONGEST_NAME, LONGEST_ENDPOINT)


def test_an_exchange_whose_row_no_block_can_hold_is_a_dead_letter_and_its_neighbours_are_scored() -> None:
    """Whatever a signal says: it costs the exchange of which it is said, and no other."""
    odd = Says("hazard", lambda text: Measurement("no category!" if text.response == "answer 1" else "violence"))
    scored = scorer(odd, policy=RoutePolicy(keep_text="all")).score([received(n) for n in range(3)])
    assert [block.id for block in scored.blocks] == [("e0", "e2")]
    assert [one.id for one in scored.samples] == ["e0", "e2"]
    [letter] = scored.dead
    assert (letter.step, letter.source.offset, letter.reason) == ("score", 1, "score: raised ValidationError")
