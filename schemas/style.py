"""The style features of an answer: how each is called among people, and in which unit it is told."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class StyleFeature:
    """One of the 30 values that say how an answer is written.

    Attributes:
        name: in code and records; title: among people.
        unit: `ratio` for lengths that are kept as logarithms, told as after over before; `per answer` for counts that
            are kept as log(1 + x); `share` for what is between 0 and 1.
        plain: the value is kept as it is told.
    """

    name: str
    title: str
    unit: Literal["share", "per answer", "ratio"]
    plain: bool = False

    def told(self, before: float, after: float) -> tuple[float, float]:
        """Two mean values as they are told: before and after.

        >>> STYLE_FEATURES[13].told(0.0, 1.0986122886681098)
        (0.0, 2.0)
        """
        if self.plain:
            return before, after
        if self.unit == "ratio":
            return 1.0, round(exp(after - before), 4)
        return round(max(expm1(before), 0.0), 4), round(max(expm1(after), 0.0), 4)


STYLE_FEATURES: Final[tuple[StyleFeature, ...]] = (
    StyleFeature("log_chars", "length in characters", "ratio"),
    StyleFeature("log_words", "length in words", "ratio"),
    StyleFeature("word_length", "letters in a word", "per answer", plain=True),
    StyleFeature("sentence_length", "sentence length", "ratio"),
    StyleFeature("line_length", "line length", "ratio"),
    StyleFeature("capitals", "capital letters", "share", plain=True),
    StyleFeature("digits", "digits", "share", plain=True),
    StyleFeature("non_ascii", "characters beyond plain ASCII", "share", plain=True),
    StyleFeature("refusals", "refusal phrases", "per answer"),
    StyleFeature("hedges", "hedging words", "per answer"),
    StyleFeature("contrasts", "words of contrast", "per answer"),
    StyleFeature("first_person", "first person", "per answer"),
    StyleFeature("second_person", "second person", "per answer"),
    StyleFeature("bullets", "bullet points", "per answer"),
    StyleFeature("numbered", "numbered points", "per answer"),
    StyleFeature("bold", "bold passages", "per answer"),
    StyleFeature("headings", "headings", "per answer"),
    StyleFeature("code_fences", "code blocks", "per answer"),
    StyleFeature("questions", "question marks per 100 words", "per answer"),
    StyleFeature("exclamations", "exclamation marks per 100 words", "per answer"),
    StyleFeature("commas", "commas per 100 words", "per answer"),
    StyleFeature("full_stops", "full stops per 100 words", "per answer"),
    StyleFeature("colons", "colons per 100 words", "per answer"),
    StyleFeature("dashes", "dashes per 100 words", "per answer"),
    StyleFeature("parentheses", "parentheses per 100 words", "per answer"),
    StyleFeature("quotes", "quotation marks per 100 words", "per answer"),
    StyleFeature("option_letter", "answers that open with an option's letter", "share", plain=True),
    StyleFeature("opens_apology", "answers that open with an apology", "share", plain=True),
    StyleFeature("ends_sentence", "answers that end with a full sentence", "share", plain=True),
    StyleFeature("ends_question", "answers that end with a question", "share", plain=True),
)
