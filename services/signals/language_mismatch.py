"""Is the answer in another language than the question, although nobody asked for that? See `LanguageMismatch`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

from schemas.spec import Spec
from services.signals.protocol import Measurement, ScoredText
from services.signals.spoken_language import is_close, language_of

_NAMES: Final = """
af afrikaans
ar arabic arabisch arabe árabe arabo العربية عربي арабск 阿拉伯语 アラビア語 아랍어
bg bulgarian bulgarisch bulgare български
bn bengali bangla বাংলা
bs bosnian bosanski
ca catalan català
cs czech tschechisch tchèque checo čeština česky češtin
da danish dänisch danois dansk danés
de german deutsch allemand alemán alemão tedesco duits niemieck niemiecku немецк німецьк almanca 德语 德文
   ドイツ語 독일어 الألمانية जर्मन
el greek griechisch grec griego ελληνικά
en english englisch anglais inglés inglês inglese engels angielsk английск англійськ ingilizce engelska
   engelsk englanti 英语 英文 英語 영어 الإنجليزية अंग्रेज़ी अंग्रेजी
es spanish spanisch espagnol español espanhol spagnolo spaans hiszpańsk испанск іспанськ ispanyolca
   castellano 西班牙语 スペイン語 스페인어 الإسبانية
et estonian eesti
fa persian farsi persisch persan فارسی
fi finnish finnisch finnois suomi suomeksi
fr french französisch français francés francês francese frans francusk французск французьк fransızca 法语
   法文 フランス語 프랑스어 الفرنسية
gl galician gallego galego
he hebrew hebräisch hébreu עברית
hi hindi हिंदी हिन्दी
hr croatian kroatisch hrvatski
hu hungarian ungarisch hongrois magyar magyarul
id indonesian indonesisch bahasa
it italian italienisch italien italiano włosk итальянск italyanca 意大利语 イタリア語 이탈리아어
ja japanese japanisch japonais japonés japonês giapponese японск 日本語 日语 日文 일본어
ko korean koreanisch coréen coreano корейск 한국어 韩语 韓国語
lt lithuanian litauisch lietuvių
lv latvian lettisch latviešu
ms malay melayu
nl dutch niederländisch néerlandais holandés neerlandés olandese nederlands 荷兰语
no norwegian norwegisch norvégien norsk noruego
pl polish polnisch polonais polaco polacco polski polsku polsk польск
pt portuguese portugiesisch portugais portugués português portoghese португальск 葡萄牙语
ro romanian rumänisch roumain română
ru russian russisch russe ruso russo русск російськ rusça 俄语 ロシア語 러시아어 الروسية
sk slovak slowakisch slovenčina
sl slovene slovenian slovenščina
sq albanian albanisch shqip
sr serbian serbisch srpski српски
sv swedish schwedisch suédois sueco svedese svenska
sw swahili kiswahili
ta tamil தமிழ்
te telugu తెలుగు
th thai ไทย
tl tagalog filipino
tr turkish türkisch turc turco türkçe турецк
uk ukrainian ukrainisch ukrainien українськ українською украинск
ur urdu اردو
vi vietnamese vietnamesisch vietnamien tiếng việt
zh chinese chinesisch chinois chino chinês cinese mandarin cantonese китайск 中文 汉语 普通话 中国語 중국어 الصينية
la latin latein
"""  # noqa: RUF001 -- they are spelled so
"""Names of languages in English, in themselves, and in the languages in which they are asked for most."""
_BY_LANGUAGE: Final[Mapping[str, tuple[str, ...]]] = {
    code: tuple(names) for code, *names in map(str.split, _NAMES.strip().replace("\n   ", " ").splitlines())
}
_TRANSLATING: Final = re.compile(
    r"translat|übersetz|tradui|traduc|traduz|tradurre|vertaal|vertal|przetłumacz|przekład|tłumacz|перевед|перевод"
    r"|переклад|preloz|přelož"
    r"|översätt|oversæt|oversett|käännä|fordít|çevir|tercüme|terjemah|dịch|μετάφρα|ترجم|תרגם|תרגום|अनुवाद|แปล|翻译|翻譯|翻訳"
    r"|訳して|번역"
    r"|(?:how|what) (?:do|would|does|is|are) .{1,80} (?:mean|called|say|said)\b|\bwie (?:sagt|heißt) man\b"
    r"|comment dit-on|cómo se dice|como se diz|come si dice",
    re.IGNORECASE,
)
_LEARNING: Final = re.compile(
    r"\b(?:language (?:tutor|teacher|partner|practice)|bilingual|multilingual|practi[cs]e my)\b", re.IGNORECASE
)
_LONGEST: Final = 32 * 1024
_PIECE: Final = 400
_ASKED_LETTERS: Final = 32
"""A shorter question may be names alone, which are of no language."""


@dataclass(frozen=True, slots=True)
class LanguageMismatch:
    """Whether the answer is in another language than the last user message, although nobody asked for that.

    False where both are of one language, where a part of the message (its first or last lines: a question about a
    pasted text) is in the answer's, or where the user or the system prompt names the answer's language. Unscored where
    either is too short, is code or mixed (`language_not_known`), where a translation is asked for
    (`translation`), and where the two are too close to be told apart surely (`close_languages`).

    Card with figures and limits: infra/models/language_mismatch.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="language_mismatch",
        kind="signal",
        family="languages",
        title="Language mismatches",
        noun="rate of answers in another language",
        says="is in another language than the question",
        unscored="no question and answer are long enough to say in which language they are",
        worse="up",
    )
    version: str = "1"

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false; unscored where either language is not known, or another one may have been wanted."""
        answered, asked = language_of(text.spoken or ""), language_of(text.prompt, _ASKED_LETTERS)
        if answered is None or asked is None:
            return Measurement(None, reason="language_not_known")
        if _same(answered, asked):
            return Measurement(False, 0.001)
        orders = f"{text.user_text[-_LONGEST:]}\n{text.system_text[:_LONGEST]}".casefold()
        if _named(answered, orders) or any(_same(answered, other) for other in _languages_within(text.prompt)):
            return Measurement(False, 0.02)
        if _TRANSLATING.search(orders) or _LEARNING.search(orders):
            return Measurement(None, reason="translation")
        if is_close(answered, asked):
            return Measurement(None, reason="close_languages")
        return Measurement(True, 0.95)


def _same(one: str, other: str) -> bool:
    return one.partition("-")[0] == other.partition("-")[0]


def _named(language: str, orders: str) -> bool:
    """Whether the user or the system prompt speaks of the language by its name."""
    names = _BY_LANGUAGE.get(language.partition("-")[0])
    return names is not None and _pattern(names).search(orders) is not None


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """One of the names, as a word or its stem; `Germany` and `Thailand` are no languages."""
    words = [re.escape(name) if _UNSPACED.match(name) else rf"(?<!\w){re.escape(name)}(?!y\b|land)" for name in names]
    return re.compile("|".join(words))


_UNSPACED: Final = re.compile("[\u0e00-\u0e7f\u3040-\u9fff\uac00-\ud7af]")
"""Scripts that put no spaces between words."""


def _languages_within(prompt: str) -> Iterator[str]:
    """The languages of its first and last lines: where a text is pasted, the question stands around it."""
    lines = [line for line in prompt[:_LONGEST].splitlines() if line.strip()]
    pieces = (prompt[:_PIECE], prompt[-_PIECE:], *(lines[:2] + lines[-2:]))
    yield from (found for piece in pieces if (found := language_of(piece)) is not None)
