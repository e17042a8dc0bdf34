"""The rules of scoring: which text, whose answer, what is kept, and what a fault costs."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import Model, identity_of
from schemas.score import STYLE_WIDTH, VECTOR_WIDTH
from services.monitor import RoutePolicy
from services.score.blocks import MAX_FREE_CHARACTERS
from services.score.core import ExchangeScorer
from services.score.style import style_features
from services.signals import SIGNALS
from services.signals.protocol import Measurement, Span
from services.vectors import to_rows
from tests.support.scoring import Says, SeededEmbedder, received, scorer, vector_of

ALL = RoutePolicy(keep_text="all")
ANSWERED = Says("answered", lambda text: Measurement(True, 0.5))


def prompts(block):
    return to_rows(block.prompt_vec, VECTOR_WIDTH)


def responses(block):
    return to_rows(block.response_vec, VECTOR_WIDTH)


def one(item, **fields):
    scored = scorer(ANSWERED, **fields).score([item])
    assert not scored.dead
    return scored.blocks[0]


# Which text


def test_the_last_user_message_and_the_content_of_the_answer_are_scored():
    messages = (
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": ({"type": "text", "text": "second"}, {"type": "image_url", "image_url": {}})},
        {"role": "tool", "content": "42"},
    )
    block = one(received(prompt=messages, response={"content": "third"}))
    np.testing.assert_array_equal(prompts(block)[0], vector_of("second"))
    np.testing.assert_array_equal(responses(block)[0], vector_of("third"))
    np.testing.assert_array_equal(to_rows(block.style, STYLE_WIDTH)[0], style_features("third").astype(np.float16))


def test_signals_see_all_user_messages_and_the_system_text():
    seen = []
    look = Says("look", lambda text: seen.append(text) or Measurement(False))
    messages = (
        {"role": "system", "content": "one"},
        {"role": "developer", "content": "two"},
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
    )
    scorer(look).score([received(prompt=messages)])
    assert (seen[0].prompt, seen[0].user_text, seen[0].system_text) == ("b", "a\nb", "one\ntwo")


def test_a_prompt_without_a_user_message_is_empty_text():
    block = one(received(prompt=({"role": "system", "content": "go"},)))
    np.testing.assert_array_equal(prompts(block)[0], vector_of(""))


def test_huge_text_that_nobody_cut_before_is_cut_and_flagged():
    seen = []
    look = Says("look", lambda text: seen.append(len(text.response)) or Measurement(False))
    scored = scorer(look).score([received(0, response="x" * (1024 * 1024 + 1)), received(1, response="x" * 1000)])
    assert seen == [256 * 1024, 1000]
    assert scored.blocks[0].flags == (("truncated",), ())


def test_texts_that_are_long_together_are_cut_and_flagged_and_the_identity_stays_that_of_the_whole():
    seen = []
    look = Says("look", lambda text: seen.append(text) or Measurement(False))
    mib, kept = 1024 * 1024, 256 * 1024
    first, prompt = "e" * (mib // 4), "p" * (mib // 4) + "q"
    room = mib - len(first) - len("\n") - len(prompt) - len("a")

    def of(system):
        turns = [("system", system), ("user", first), ("user", prompt)]
        messages = tuple({"role": role, "content": text} for role, text in turns)
        return scorer(look).score([received(prompt=messages, response="a")]).blocks[0]

    fits, beyond, other = of("s" * room), of("s" * (room + 1)), of("s" * room + "t")
    assert [block.flags for block in (fits, beyond)] == [((),), (("truncated",),)]
    whole, cut, _ = seen
    assert (whole.prompt, whole.user_text, len(whole.system_text)) == (prompt, f"{first}\n{prompt}", room)
    assert (cut.prompt, cut.system_text, cut.response) == (prompt[:kept], "s" * kept, "a")
    assert cut.user_text == f"{first}\n{prompt[:kept]}"
    assert len({fits.identity, beyond.identity, other.identity}) == 3


# Who answered


def test_the_system_text_is_hashed_into_the_identity():
    messages = ({"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"})
    block = one(received(prompt=messages))
    hashed = hashlib.sha256(b"be kind").hexdigest()
    expected = Model(requested="gpt-4", system_prompt_sha256=hashed)
    assert block.identities == {identity_of(expected): expected}


def test_the_hash_of_the_publisher_wins():
    messages = ({"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"})
    model = {"requested": "gpt-4", "system_prompt_sha256": "abc"}
    (described,) = one(received(prompt=messages, model=model)).identities.values()
    assert described.system_prompt_sha256 == "abc"


def test_a_new_fingerprint_is_the_same_identity_and_stays_with_its_row():
    batch = [received(n, model={"requested": "m", "fingerprint": name}) for n, name in enumerate(["fp1", "fp2"])]
    (block,) = scorer().score(batch).blocks
    assert len(block.identities) == 1
    assert block.fingerprint == ("fp1", "fp2")


# Whether there is an answer


@pytest.mark.parametrize(
    "response",
    [
        {"error": {"code": 500}},
        {"error": "timeout", "content": " "},
        {"error": {"message": "Rate limit reached"}, "content": "Error: Rate limit reached"},
        {"error": {"details": [{"message": "The model is overloaded now"}]}, "content": "The model is overloaded"},
        {"error": "timeout", "content": "timeout"},
        {"finish_reason": "error"},
        {},
        {"content": None},
    ],
)
def test_no_answer_is_flagged_and_nothing_is_scored(response):
    block = one(received(response=response))
    assert block.flags == (("no_response",),)
    assert block.embedded == (True,)
    np.testing.assert_array_equal(prompts(block)[0], vector_of("question 0"))
    assert not responses(block).any()
    assert not to_rows(block.style, STYLE_WIDTH).any()
    for column in block.signals.values():
        assert (column.value, column.probability, column.status) == ((None,), (None,), ("unscored",))


@pytest.mark.parametrize(
    "response",
    [
        {"error": "timeout", "content": "half an ans"},
        {"error": {"message": "overloaded"}, "content": ({"type": "text", "text": "half an ans"},)},
        {"finish_reason": "error", "content": "half an ans"},
        {"finish_reason": "network_error", "content": "half an ans"},
    ],
)
def test_text_that_was_delivered_before_an_error_is_scored_and_says_that_it_was_broken_off(response):
    block = one(received(response=response))
    assert block.flags == (("broken_off",),)
    np.testing.assert_array_equal(responses(block)[0], vector_of("half an ans"))
    assert block.signals["answered"].value == (True,)


def test_a_leak_before_an_error_is_seen_and_a_filter_is_no_error():
    leak = "The key is AKIAIOSFODNN7EXAMPLQ and the"
    batch = [
        received(0, response={"content": leak, "error": {"code": 500}}),
        received(1, response={"content": "I was going to", "error": {"code": "content_filter"}}),
    ]
    (block,) = ExchangeScorer(SeededEmbedder(), lambda route: RoutePolicy()).score(batch).blocks
    assert block.signals["secret_leak"].value[0] is True
    assert block.signals["refusal"].value[1] is True
    assert block.flags == (("broken_off",), ())


@pytest.mark.parametrize(
    "response",
    [
        "",
        {"content": ""},
        {"tool_calls": ({"name": "search"},)},
        {"content": None, "finish_reason": "content_filter"},
        {"refusal": "I can't help with that."},
        {"content": "", "finish_reason": "stop"},
    ],
)
def test_an_answer_without_words_is_an_answer_of_empty_text(response):
    block = one(received(response=response))
    assert block.flags == ((),)
    assert block.signals["answered"].value == (True,)
    np.testing.assert_array_equal(responses(block)[0], vector_of(""))


def test_tool_calls_alone_are_no_refusal_and_a_provider_stop_is_one():
    batch = [
        received(0, response={"tool_calls": ({"name": "search"},), "finish_reason": "tool_calls"}),
        received(1, response={"content": None, "finish_reason": "content_filter"}),
        received(2, response={"error": "overloaded"}),
    ]
    (block,) = ExchangeScorer(SeededEmbedder(), lambda route: RoutePolicy()).score(batch).blocks
    assert block.signals["refusal"].value == (False, True, None)
    assert tuple(block.signals) == tuple(signal.spec.name for signal in SIGNALS)


def test_an_answer_cut_inside_its_reasoning_is_flagged_and_its_leaks_still_count():
    secret = "my card is 4539 1488 0343 6467"
    reasoning = f"<think>They say {secret}; I cannot help with"
    whole = ExchangeScorer(SeededEmbedder(), lambda route: RoutePolicy(keep_text="all"))
    scored = whole.score(
        [received(0, prompt=secret, response=reasoning), received(1, response="<think>Hm.</think>Yes.")]
    )
    (block,) = scored.blocks
    assert block.flags == (("no_response",), ())
    assert block.signals["refusal"].value == (None, False)
    assert block.signals["secret_leak"].status[0] == "scored"
    assert "4539" not in scored.samples[0].response
    cut, spoken = to_rows(block.style, STYLE_WIDTH)
    assert not cut.any()
    np.testing.assert_array_equal(spoken, style_features("Yes.").astype(np.float16))
    np.testing.assert_array_equal(responses(block)[0], vector_of(reasoning))


@pytest.mark.parametrize(
    "response",
    [
        {"content": "", "finish_reason": "abort"},
        {"content": None, "finish_reason": "length"},
        {"content": None, "finish_reason": "stop", "audio": {"id": "a1"}},
        {"content": "", "finish_reason": "stop", "reasoning_content": "I cannot help."},
    ],
)
def test_a_stop_without_text_that_is_not_the_models_is_no_answer(response):
    block = one(received(response=response))
    assert block.flags[0][0] == "no_response"
    assert block.signals["answered"].value == (None,)


def test_a_filters_error_is_an_answer_that_was_withheld():
    response = {"error": {"code": "400", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}
    (block,) = ExchangeScorer(SeededEmbedder(), lambda route: RoutePolicy()).score([received(response=response)]).blocks
    assert block.signals["refusal"].value == (True,)
    assert block.flags == ((),)


# Blocks


@given(
    routes=st.lists(st.sampled_from(["a", "b", "c"]), max_size=300),
    topics=st.lists(st.sampled_from("tu"), max_size=300),
)
def test_every_exchange_is_in_one_block_of_its_route_in_order(routes, topics):
    batch = [
        received(n, route=route, topic=topic) for n, (route, topic) in enumerate(zip(routes, topics, strict=False))
    ]
    blocks = scorer(policy=RoutePolicy(embed_share=1e-9)).score(batch).blocks
    for route in {item.exchange.route for item in batch}:
        ids = [id for block in blocks if block.route == route for id in block.id]
        assert ids == [item.exchange.id for item in batch if item.exchange.route == route]
    places = [(b.topic, offset) for b in blocks for offset in b.offset]
    assert sorted(places) == sorted((item.position.topic, item.position.offset) for item in batch)
    assert all(len(block.id) <= 128 for block in blocks)


@pytest.mark.parametrize("cut", [1, 7, 64, 500])
def test_the_numbers_do_not_depend_on_how_batches_are_cut(cut):
    batch = [received(n, route="ab"[n % 2]) for n in range(130)]
    whole = rows_by_id(scorer(ANSWERED).score(batch).blocks)
    parts = [scorer(ANSWERED).score(batch[i : i + cut]).blocks for i in range(0, len(batch), cut)]
    assert rows_by_id([block for blocks in parts for block in blocks]) == whole


def rows_by_id(blocks):
    found = {}
    for block in blocks:
        vectors = zip(prompts(block), responses(block), strict=True)
        for id, kept, embedded, (prompt, response) in zip(block.id, block.kept, block.embedded, vectors, strict=True):
            found[id] = (kept, embedded, prompt.tobytes(), response.tobytes())
    return found


def test_blocks_stay_below_the_size_limit_of_their_topic():
    tags = {"note": "\x01" * (MAX_FREE_CHARACTERS // 3)}
    scored = scorer(ANSWERED).score([received(n, tags=tags) for n in range(8)])
    assert len(scored.blocks) == 4
    assert max(len(block.encode()) for block in scored.blocks) < 4 * 1024 * 1024


def test_free_text_that_no_block_could_hold_is_a_dead_letter():
    scored = scorer().score([received(0), received(1, user="u" * (MAX_FREE_CHARACTERS + 1)), received(2)])
    assert [letter.source.offset for letter in scored.dead] == [1]
    assert scored.blocks[0].id == ("e0", "e2")


def test_flags_of_the_ingest_step_stay():
    assert one(received(flags=("sanitized", "no_ts"), response={})).flags == (("sanitized", "no_ts", "no_response"),)


def test_the_scorer_says_what_produced_the_numbers():
    version = scorer(ANSWERED).version
    assert version.engine.startswith("seeded+style-")
    assert version.signals == {"answered": "1", "pii_leak": "1", "secret_leak": "1"}


def test_no_exchanges_are_no_blocks():
    scored = scorer().score([])
    assert (scored.blocks, scored.samples, scored.dead) == ((), (), ())


# What is embedded


def test_a_share_of_ids_is_embedded_and_the_rest_is_zero():
    batch = [received(n) for n in range(1000)]
    blocks = scorer(policy=RoutePolicy(embed_share=0.3)).score(batch).blocks
    embedded = np.array([flag for block in blocks for flag in block.embedded])
    vectors = np.concatenate([prompts(block) for block in blocks])
    styles = np.concatenate([to_rows(block.style, STYLE_WIDTH) for block in blocks])
    assert 240 < embedded.sum() < 360
    np.testing.assert_array_equal(vectors.any(axis=1), embedded)
    assert not styles[~embedded].any()


# What is kept


def shouts(text):
    spans = tuple(
        Span("prompt", i, i + 6, "secret") for i in range(len(text.prompt)) if text.prompt[i:].startswith("hunter")
    )
    return Measurement("!" in text.response, spans=spans)


def test_text_is_kept_where_a_signal_is_true_and_for_a_drawn_share():
    batch = [received(n, response="no!" if n % 10 == 0 else "no") for n in range(1000)]
    scored = scorer(Says("shouts", shouts)).score(batch)
    assert [sample.id for sample in scored.samples] == [one.exchange.id for one in batch], "every text travels"
    kept = [sample for sample in scored.samples if sample.why == "kept"]
    told = [sample for sample in kept if sample.signals]
    assert (len(told), {sample.signals for sample in told}) == (100, {("shouts",)})
    assert 20 < len(kept) - len(told) < 80
    assert {id for block in scored.blocks for id, kept in zip(block.id, block.kept, strict=True) if kept} == {
        sample.id for sample in kept
    }
    assert 100 < sum(sample.why == "baseline" for sample in scored.samples) < 240, "a fifth of 1,000 for a baseline"


@pytest.mark.parametrize(("keep_text", "share"), [("all", 1.0), ("none", 0.0)])
def test_a_route_keeps_all_texts_or_none(keep_text, share):
    scored = scorer(ANSWERED, policy=RoutePolicy(keep_text=keep_text)).score([received(n) for n in range(50)])
    assert len(scored.samples) == 50 * share
    assert all(kept is bool(share) for kept in scored.blocks[0].kept)


def test_samples_hold_masked_text_alone():
    item = received(prompt="my password is hunter2", response="noted!")
    (sample,) = scorer(Says("shouts", shouts)).score([item]).samples
    assert (sample.prompt, sample.response) == ("my password is <secret>2", "noted!")


def test_the_prompt_of_a_failed_request_is_masked_too():
    item = received(prompt="my password is hunter2", response={"error": "timeout"})
    (sample,) = scorer(Says("shouts", shouts), policy=ALL).score([item]).samples
    assert (sample.prompt, sample.response, sample.signals) == ("my password is <secret>2", "", ())


def test_text_that_a_masking_signal_did_not_check_is_not_kept():
    blind = Says("pii_leak", lambda text: Measurement(None, reason="too long"))
    scored = ExchangeScorer(SeededEmbedder(), lambda route: ALL, signals=(ANSWERED, blind)).score([received()])
    assert (scored.samples, scored.blocks[0].kept) == ((), (False,))


def test_what_the_real_signals_find_never_leaves_in_clear():
    secret = "AKIA" + "Q7XPL3MZ5WTR2KVB"
    prompt, response = "write to jane.roe@acme-mail.org", f"Sure, jane.roe@acme-mail.org: use {secret} for the bucket."
    scored = ExchangeScorer(SeededEmbedder(), lambda route: ALL).score([received(prompt=prompt, response=response)])
    left = b"".join(record.encode() for record in (*scored.blocks, *scored.samples))
    assert b"jane.roe" not in left
    assert secret.encode() not in left
    assert scored.samples[0].prompt.startswith("write to <")


# What a fault costs


def fails_on_seven(text):
    if text.prompt.endswith("7"):
        raise KeyError("the text itself: " + text.prompt)
    return Measurement(False)


def test_a_signal_that_raises_costs_one_exchange_and_is_named():
    batch = [received(n) for n in range(10)]
    scored = scorer(Says("fragile", fails_on_seven)).score(batch)
    (letter,) = scored.dead
    assert letter.source == batch[7].position
    assert letter.reason == "signal fragile: raised KeyError"
    healthy = scorer(Says("fragile", lambda text: Measurement(False))).score(batch[:7] + batch[8:])
    assert scored.blocks == healthy.blocks
    assert scored.samples == healthy.samples


@pytest.mark.parametrize(
    "said",
    [Measurement(float("nan")), Measurement(True, float("inf")), Measurement(np.bool_(True)), Measurement(None, 0.5)],
)
def test_a_signal_that_says_nonsense_is_a_fault(said):
    scored = scorer(Says("nonsense", lambda text: said)).score([received()])
    assert scored.blocks == ()
    assert scored.dead[0].reason.startswith("signal nonsense: ")


def test_style_features_that_no_record_can_hold_are_a_fault():
    def style(text):
        return np.full(STYLE_WIDTH, np.inf if text == "answer 1" else 1.0)

    scored = scorer(style=style).score([received(n) for n in range(3)])
    assert scored.blocks[0].id == ("e0", "e2")
    assert scored.dead[0].reason == "signal style: not 30 finite numbers"


@pytest.mark.parametrize("error", [MemoryError, OSError])
def test_a_fault_of_the_machine_is_not_put_on_the_record(error):
    def fail(text):
        raise error

    with pytest.raises(error):
        scorer(Says("poor", fail)).score([received()])


def test_an_exchange_without_id_or_time_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="`id` and `ts`"):
        scorer().score([received(id=None)])
