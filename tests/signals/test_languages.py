"""`language` and `language_mismatch`: thirty languages, short texts, code, mixed ones, and texts of no language."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signals.language import Language
from services.signals.language_mismatch import LanguageMismatch
from services.signals.protocol import Measurement
from services.signals.spoken_language import is_close, language_of
from tests.support.languages import LONG, NOT_PROSE, SHORT
from tests.support.said import said

CODE = "```python\ndef add(first, second):\n    return first + second\n```"


class TestLanguage:
    @pytest.mark.parametrize("code", LONG)
    def test_two_sentences_say_their_language(self, code: str) -> None:
        assert Language().measure(said(LONG[code], prompt=LONG["en"])) == Measurement(code)

    @pytest.mark.parametrize("code", SHORT)
    def test_a_short_sentence_says_it(self, code: str) -> None:
        assert language_of(SHORT[code]) == code

    @pytest.mark.parametrize("text", NOT_PROSE, ids=repr)
    def test_what_is_no_prose_says_nothing(self, text: str) -> None:
        assert language_of(text) is None
        assert Language().measure(said(text, prompt=text or "x")) == Measurement(None, reason="language_not_known")

    @pytest.mark.parametrize("code", ["de", "ja", "ru", "ar"])
    def test_code_addresses_and_marks_do_not_count(self, code: str) -> None:
        text = f"{LONG[code]}\n\n{CODE}\n\nhttps://example.com/an/english/path?with=words **`inline_code()`**"
        assert language_of(text) == code

    def test_an_answer_that_says_nothing_is_of_the_language_that_was_asked_in(self) -> None:
        assert Language().measure(said(CODE, prompt=LONG["de"])).value == "de"
        assert Language().measure(said("42", prompt=LONG["ko"])).value == "ko"

    def test_reasoning_is_no_answer(self) -> None:
        answer = f"<think>{LONG['en']} {LONG['en']}</think>{LONG['fr']}"
        assert Language().measure(said(answer, prompt=LONG["fr"])).value == "fr"

    def test_half_and_half_is_of_none(self) -> None:
        assert language_of(f"{LONG['en']} {LONG['ru']}") is None

    @pytest.mark.parametrize("mark", ["\x00", "\x0b", "\ud800", "\u202e", "\u0301" * 30, "\ufffe", "\U0010ffff"])
    def test_odd_characters_change_nothing(self, mark: str) -> None:
        assert language_of(LONG["de"].replace(" ", f" {mark} ")) in ("de", None)
        assert language_of(mark + LONG["de"] + mark) == "de"

    @given(st.text(max_size=300))
    def test_any_text_says_the_same_twice(self, text: str) -> None:
        assert language_of(text) == language_of(text)


class TestLanguageMismatch:
    def of(self, answer: str, prompt: str, **more: str) -> Measurement:
        return LanguageMismatch().measure(said(answer, prompt=prompt, **more))

    @pytest.mark.parametrize(("answered", "asked"), [pair for pair in product(LONG, repeat=2) if pair[0] != pair[1]])
    def test_another_language_is_found_or_too_close_to_say(self, answered: str, asked: str) -> None:
        measured = self.of(LONG[answered], LONG[asked])
        if is_close(answered, asked):
            assert measured == Measurement(None, reason="close_languages")
        else:
            assert measured.value is True

    @pytest.mark.parametrize("code", LONG)
    def test_the_same_language_is_none(self, code: str) -> None:
        assert self.of(LONG[code], LONG[code]).value is False

    @pytest.mark.parametrize(
        "wish",
        [
            "Please answer in German.",
            "Bitte auf Deutsch!",
            "Réponds en allemand.",
            "Responde en alemán.",
            "用德语回答。",
            "ドイツ語でお願いします。",
        ],
    )
    def test_a_language_that_is_asked_for_is_none(self, wish: str) -> None:
        assert self.of(LONG["de"], f"{LONG['en']} {wish}").value is False
        assert self.of(LONG["de"], LONG["en"], earlier=wish).value is False
        assert self.of(LONG["de"], LONG["en"], system=f"You are a support bot. {wish}").value is False

    def test_a_country_is_no_language(self) -> None:
        assert self.of(LONG["de"], f"{LONG['en']} We are in Germany.").value is True

    @pytest.mark.parametrize(
        "wish",
        [
            "Translate this.",
            "Übersetze das.",
            "Traduis ce texte.",
            "Traduce esto.",
            "Переведи это.",
            "翻译一下。",
            "翻訳してください。",
            "번역해 주세요.",
            "How do you say that in Xhosa?",
        ],
    )
    def test_a_translation_is_not_judged(self, wish: str) -> None:
        assert self.of(LONG["sv"], f"{LONG['en']} {wish}") == Measurement(None, reason="translation")

    def test_a_question_about_a_pasted_text_is_answered_in_its_language(self) -> None:
        pasted = "\n".join([LONG["en"]] * 6)
        assert self.of(LONG["de"], f"Fasse den folgenden Text bitte kurz zusammen:\n\n{pasted}").value is False
        assert self.of(LONG["de"], f"{pasted}\n\nWas steht in diesem Text über den Freitag?").value is False
        assert self.of(LONG["fr"], f"Fasse den folgenden Text bitte kurz zusammen:\n\n{pasted}").value is True

    @pytest.mark.parametrize(
        ("answer", "prompt"),
        [
            (CODE, LONG["de"]),
            (LONG["en"], CODE),
            (LONG["en"], "hola"),
            ("42", LONG["de"]),
            ("", LONG["de"]),
            (LONG["en"], "Act as the Norse Goddess Freyja."),
            ("<think>" + LONG["en"], LONG["de"]),
        ],
    )
    def test_what_is_too_short_or_code_is_not_judged(self, answer: str, prompt: str) -> None:
        assert self.of(answer, prompt) == Measurement(None, reason="language_not_known")

    def test_code_with_an_explanation_is(self) -> None:
        assert self.of(f"{CODE}\n\n{LONG['en']}", LONG["de"]).value is True
        assert self.of(f"{CODE}\n\n{LONG['de']}", f"{LONG['de']}\n{CODE}").value is False
