"""Heads: what they read, how they are stored, how they are fitted, by made data alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from services.monitor.own_heads import headed, read_heads, reads_of, with_heads
from services.signals.heads import own
from services.signals.heads.fitting import Labelled, auroc, calibration_error, fit_head, log_odds, threshold_at
from services.signals.heads.grams import buckets_of, closing_of, long_buckets, opening_buckets, opening_of
from services.signals.heads.head import HeadError, HeadInputs, Heads, LinearHead, dump_heads, load_heads
from services.signals.heads.reading import BUCKETS, is_english
from services.signals.heads.shipped import FOLDER, shipped, shipped_digest, shipped_names
from services.signals.refusal import Refusal
from tests.support.said import said
from tests.support.scoring import vector_of

NO = ("I will not do that", "That is not for me", "Never would I do it", "This stays undone")
YES = ("Here it is", "Sure, take this", "The list follows", "Done as you asked")
THINGS = ("tea", "bread", "a boat", "the garden", "a letter", "two songs", "old maps", "rain")


def inputs(text: str) -> HeadInputs:
    windows = (vector_of(text[:20]), None)
    return HeadInputs(np.array(buckets_of(text, BUCKETS)), windows, {"rules": 0.0})


def made(count: int, seed: int = 0) -> tuple[list[HeadInputs], list[bool]]:
    random, texts, labels = Random(seed), [], []
    for at in range(count):
        said_no = at % 2 == 0
        texts.append(f"{random.choice(NO if said_no else YES)}: {random.choice(THINGS)} {random.choice(THINGS)}")
        labels.append(said_no)
    return [inputs(text) for text in texts], labels


def rows(count: int, seed: int = 0) -> Labelled:
    return own.labelled(*made(count, seed), windows=2)


@pytest.fixture(scope="module")
def fitted() -> LinearHead:
    return fit_head([rows(60, 1), rows(60, 2)])


def test_grams_tell_opening_and_closing_apart() -> None:
    text = " ".join(f"w{at}" for at in range(200))
    assert opening_of(text)[:2] == ["w0", "w1"]
    assert closing_of(text)[-1] == "w199"
    assert not closing_of("a short answer.")
    assert set(buckets_of("no " * 400, BUCKETS)) > set(buckets_of("no " * 20, BUCKETS))


@pytest.mark.parametrize(
    "text", ["", " ", "\ud800", "\x00", "a" * 1_000_000, "\u5f53" * 9000, "\u0301" * 500, "\U0001f98a " * 90]
)
def test_grams_of_odd_texts_are_bounded(text: str) -> None:
    found = buckets_of(text, BUCKETS)
    assert len(found) <= 6 * 60
    assert found == sorted(set(found))
    assert all(0 <= one < BUCKETS for one in found)


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("I cannot help you with that, because it would be wrong to do so.", True),
        ("Lo siento, no me es posible proporcionar esa informaci\u00f3n en este momento.", False),
        ("Das ist in der Tat so, wie es im Buch steht, und was man da will.", False),
        ("\u5f88\u62b1\u6b49\uff0c\u6211\u65e0\u6cd5\u63d0\u4f9b", False),
        ("No.", True),
        ("x = 1\ny = 2\nz = x + y\nprint(z)\nreturn z", False),
    ],
)
def test_which_answers_are_in_words_that_heads_know(text: str, english: bool) -> None:
    assert is_english(text) is english


def test_a_head_comes_back_from_its_file_and_says_the_same(fitted: LinearHead) -> None:
    heads = Heads("refusal", {"refusal": fitted}, {"command": "a test"})
    data = dump_heads(heads)
    assert dump_heads(heads) == data
    back = load_heads(data)
    assert load_heads(dump_heads(back)).digest == back.digest
    for given in made(20, 9)[0]:
        assert back.only.log_odds(given) == pytest.approx(fitted.log_odds(given), abs=0.02)  # float16
        assert back.only.log_odds(given) == load_heads(data).only.log_odds(given)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-200],
        lambda data: data.replace(b'"bias"', b'"bios"', 1),
        lambda data: b"{}\n" + data,
        lambda data: b"",
        lambda data: b"no json at all",
        lambda data: data + b" " * 1_000_001,
    ],
)
def test_a_damaged_file_is_no_head(fitted: LinearHead, damage) -> None:
    data = dump_heads(Heads("refusal", {"refusal": fitted}, {}))
    with pytest.raises(HeadError):
        load_heads(damage(data))


def test_a_weight_that_is_no_number_is_refused(fitted: LinearHead) -> None:
    broken = replace(fitted, words=np.full_like(fitted.words, np.nan))
    with pytest.raises(HeadError, match="no number"):
        load_heads(dump_heads(Heads("refusal", {"refusal": broken}, {})))


def test_a_fit_finds_what_sets_texts_apart_on_groups_it_did_not_see(fitted: LinearHead) -> None:
    judged = rows(80, 7)
    assert auroc(log_odds(fitted, judged), judged.labels) > 0.99
    plain = replace(judged, windows=None)
    assert auroc(log_odds(fitted, plain), judged.labels) > 0.99
    assert calibration_error(1 / (1 + np.exp(-log_odds(fitted, judged))), judged.labels) < 0.2


def test_figures_and_scores_are_of_one_head(fitted: LinearHead) -> None:
    given, labels = made(30, 5)
    found = log_odds(fitted, own.labelled(given, labels, windows=2))
    assert [fitted.log_odds(one) for one in given] == pytest.approx(list(np.clip(found, -30, 30)), abs=1e-9)


def test_the_same_rows_give_the_same_bytes() -> None:
    first, second = (dump_heads(Heads("refusal", {"refusal": fit_head([rows(60, 1), rows(60, 2)])}, {})) for _ in "ab")
    assert first == second


def test_labels_that_say_nothing_teach_nothing() -> None:
    given, labels = made(200)
    Random(3).shuffle(labels)
    noise = own.labelled(given, labels, windows=2)
    head = fit_head(own.folds(noise))
    fresh = own.labelled(given, labels[::-1], windows=2)
    assert 0.3 < auroc(log_odds(head, fresh), fresh.labels) < 0.7


@pytest.mark.parametrize(("fpr", "wanted"), [(0.0, 0.9001), (0.1, 0.8001), (0.5, 0.4001), (1.0, 0.0)])
def test_a_threshold_keeps_its_false_positives(fpr: float, wanted: float) -> None:
    chance = np.array([*(0.1 * at for at in range(10)), 0.95])
    labels = np.array([False] * 10 + [True])
    assert threshold_at(chance, labels, fpr) == pytest.approx(wanted)


def test_own_labels_move_a_head_that_was_wrong(fitted: LinearHead) -> None:
    given, labels = made(160, 4)
    turned = own.labelled(given, [not label for label in labels], windows=2)
    told = own.fit_own("refusal", turned, fitted, 0.05, {})
    assert told.before < 0.05
    assert told.after > 0.95
    assert told.false_positives <= 0.05
    assert told.heads.facts["left_out"]["auroc"] == pytest.approx(told.after, abs=1e-4)


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_head_is_small_whole_and_says_what_it_was_fitted_on(name: str) -> None:
    data = (FOLDER / f"{name}.json").read_bytes()
    assert len(data) <= 1_000_000
    heads = shipped(name)
    assert heads.digest == shipped_digest(name)
    assert heads.facts["sets"]
    forbidden = {"do_not_answer", "saferlhf_mini", "alpaca_eval_gpt4", "alpaca_eval_gpt35", "alpaca_eval_open"}
    assert not forbidden & set(heads.facts["sets"])
    assert all(one["licence"] in {"MIT", "Apache-2.0", "CC-BY-4.0", "CC0-1.0"} for one in heads.facts["sets"].values())


def test_a_head_of_ones_own_changes_the_version_of_what_asks_it_and_of_nothing_else(fitted: LinearHead) -> None:
    from services.signals import SIGNALS  # noqa: PLC0415

    heads = load_heads(dump_heads(Heads("refusal", {"refusal": fitted}, {})))
    before = {one.spec.name: one.version for one in SIGNALS}
    after = {one.spec.name: one.version for one in with_heads(SIGNALS, {"refusal": heads})}
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {"refusal", "over_refusal", "harmful_compliance", "evasion"}
    assert heads.digest in after["refusal"]


def test_a_head_of_ones_own_scores(fitted: LinearHead) -> None:
    text = said(
        "Never would I do it: tea and then some bread for the rest of us, as it was said to them by the others."
    )
    heads = load_heads(dump_heads(Heads("refusal", {"refusal": replace(fitted, threshold=0.0)}, {})))
    assert Refusal(own=heads).measure(text).value is True


def test_only_heads_of_known_signals_are_read(fitted: LinearHead, tmp_path) -> None:
    path = tmp_path / "h.json"
    path.write_bytes(dump_heads(Heads("hazard", {"a": fitted}, {})))
    with pytest.raises(HeadError, match="hazard"):
        read_heads(str(path))
    with pytest.raises(HeadError, match="cannot be read"):
        read_heads(str(tmp_path / "none.json"))
    assert "refusal" in headed()


def test_a_head_that_was_fitted_on_another_reading_is_not_read(fitted: LinearHead, tmp_path) -> None:
    path, reads = tmp_path / "h.json", reads_of(headed()["harmful_compliance"])
    for facts, fits in (({}, False), ({"reads": "other"}, False), ({"reads": reads}, True)):
        path.write_bytes(dump_heads(Heads("harmful_compliance", {"harmful_compliance": fitted}, facts)))
        if fits:
            assert read_heads(str(path)).signal == "harmful_compliance"
            continue
        with pytest.raises(HeadError, match="fit it anew"):
            read_heads(str(path))


def test_the_long_opening_holds_what_both_ends_of_a_short_text_hold() -> None:
    assert opening_buckets("one two three", BUCKETS) == buckets_of("one two three", BUCKETS)
    long = " ".join(f"word{at}" for at in range(500))
    assert len(opening_buckets(long, BUCKETS)) > len(buckets_of(long, BUCKETS))
    assert opening_buckets(long, BUCKETS) == opening_buckets(long + " and more", BUCKETS)


@pytest.mark.parametrize("words", [300, 3000])
def test_a_long_opening_and_the_closing_after_it_are_read_and_nothing_between(words: int) -> None:
    text = [f"word{at}" for at in range(words)]
    read = long_buckets(" ".join(text), BUCKETS)
    assert read != long_buckets(" ".join(["other", *text[1:]]), BUCKETS)
    assert read != long_buckets(" ".join([*text[:-1], "other"]), BUCKETS)
    between = [*text[:202], *["unread" for _ in text[202:-62]], *text[-62:]]
    assert read == long_buckets(" ".join(between), BUCKETS)
