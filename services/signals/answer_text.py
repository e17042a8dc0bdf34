"""What a model said of what it wrote: the answer without its reasoning. Pure, one pass, linear in the text.

Models, servers and chat templates mark reasoning in many ways, and often the mark that opens it stands in the prompt
template and never comes back. `spoken_answer` knows the marks; that answers also talk about them is the hard part.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, Literal, NamedTuple

_NAMES: Final = (
    r"think(?:ing)?|thoughts?|thought[_-]?process|reasoning(?:_?scratchpad)?|reflect(?:ion|ing)?|scratch[_-]?pad"
    r"|(?:inner|internal)[_-]?(?:monologue|thoughts?|thinking|reasoning)|chain[_-]?of[_-]?thoughts?"
    r"|cot(?:_[a-z_]{1,24})?"
    r"|deliberation"
)
_SOFT: Final = r"analysis|rationale"
_ANSWERS: Final = r"answer|response|output|reply|final(?:[_-]?(?:answer|response|output))?|solution|conclusion"
_MARK: Final = re.compile(
    r"[<\[\u25c1|](?:(?<=<)(?:"
    # <think>, </Thinking >, <seed:think>, <thinking budget="9">
    rf"\s{{0,4}}(?P<closes>/\s{{0,4}})?(?:[a-z]{{1,12}}:)?(?:{_NAMES}|(?P<soft>{_SOFT}))"
    r"(?:\s[^<>]{0,200}(?<!/))?\s{0,4}>"
    rf"|(?P<answer>{_ANSWERS})\s{{0,4}}>"
    # Harmony (gpt-oss), Llama's headers, Gemma's channel, Gemini's control tokens
    r"|\|channel\|>\s{0,4}(?P<channel>analysis|commentary|final)\b"
    r"(?:[^<]{0,80}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>)?"
    r"|\|start_header_id\|>\s{0,4}(?P<header>\w{1,20})\s{0,4}<\|end_header_id\|>"
    r"|\|channel>\s{0,4}(?P<opens_channel>thought)\b|(?P<closes_channel>channel\|>)|(?:ctrl|unused)9(?P<control>[45])>"
    # <|START_THINKING|> (Cohere), <|begin_of_thought|>, <|/think|>, <|think_end|>
    r"|\|\s?(?P<token>/?[\w\u2581 :-]{2,40}?)\s?\|>"
    # [THINK] (Mistral), [BEGIN FINAL RESPONSE] (Apriel)
    r")|(?<=\[)(?:(?P<closes_bracket>/)?(?P<bracket>think(?:ing)?|reasoning|thoughts?|scratchpad|reflection)\]"
    r"|(?P<final>BEGIN FINAL RESPONSE)\])"
    # \u25c1think\u25b7 and |startthink| (Kimi)
    r"|(?<=\u25c1)(?P<closes_kimi>/)?(?P<kimi>think(?:ing)?)\u25b7|(?<=\|)(?P<bar>start|end)_?think(?:ing)?\|)",
    re.IGNORECASE,
)
_TOKEN_OPENS: Final = re.compile(
    r"(?:(?:start|begin)_?(?:of_?)?)?(?:think|thinking|thought|reasoning)(?:_(?:start|begin))?"
)
_TOKEN_CLOSES: Final = re.compile(
    r"(?:/|(?:end|stop|close)_?(?:of_?)?)(?:think|thinking|thought|reasoning)"
    r"|(?:think|thinking|thought|reasoning)_(?:end|stop|close)"
)
_TOKEN_ANSWERS: Final = re.compile(r"(?:start|begin)_?(?:of_?)?(?:response|answer|solution|text|final)")
_THINKING: Final = frozenset({"reasoning", "thinking", "thought", "thoughts", "think", "analysis"})
_SPEAKING: Final = frozenset({"assistant", "answer", "final", "response"})

_NOISE: Final = re.compile(
    r"(?:[\s\u200b-\u200d\u2060\ufeff\ufffd]++|<\|[\w\u2581/]{1,40}\|>|</?s>|<(?:start|end)_of_turn>|<\|?turn\|?>"
    r"|<[be]os>|(?:assistant|model)(?=[ \t]{0,3}(?:\n|<|$)))*+",
    re.IGNORECASE,
)
_WRAPPING: Final = re.compile(rf"</?(?:{_ANSWERS})\s{{0,4}}>|\[(?:BEGIN|END) FINAL RESPONSE\]", re.IGNORECASE)
_STRIPPED_FINAL: Final = "assistantfinal"
"""What is left of `<|start|>assistant<|channel|>final<|message|>` where special tokens were removed."""

_SHORT: Final = 200
"""Characters of a preamble: what is said before or between reasoning and is no answer yet."""
_FIRST, _LAST = 32, 256
"""Marks that are looked at, from the beginning and from the end."""
_LINE: Final = 2000
_INDENTED: Final = 4

Kind = Literal["opens", "closes", "answers"]


class _Mark(NamedTuple):
    """Where reasoning begins, where it ends, or where an answer begins; a weak one opens only what is closed."""

    kind: Kind
    weak: bool
    start: int
    end: int


def spoken_answer(response: str) -> str | None:
    r"""The answer without its reasoning; None where it was cut inside its reasoning, or nothing follows it.

    An answer is what follows the last mark that closes reasoning, also where no mark opened it. Marks in code, in
    quotation marks or in the middle of a sentence are talked about and close nothing. Text before the first mark
    that opens is kept where it is longer than a preamble. Without marks the response itself comes back.

    >>> spoken_answer("She may have it.\n</think>\n\nIt left."), spoken_answer("<think>She"), spoken_answer("It left.")
    ('It left.', None, 'It left.')
    >>> spoken_answer("Close it with `</think>`.")
    'Close it with `</think>`.'
    """
    begun = _headed(response)
    if begun is not None:
        return _cleaned(begun)
    marks = _marks(response)
    return _by_marks(response, marks) if marks else response


def _by_marks(text: str, marks: Sequence[_Mark]) -> str | None:
    fences = _fenced(text)
    opened = marks[0].kind == "opens" and _is_noise(text, marks[0].start) and not _is_named(text, marks[0])
    meant = list(_meant(text, marks, fences, opened))
    ends = [mark for mark in meant if mark.kind == "closes"]
    if opened and not ends:
        ends = _late_ends(text, marks, fences)
    if not ends:
        return _unclosed(text, meant, opened and not marks[0].weak)
    first = next((mark for mark in meant if mark.kind == "opens"), None)
    lead = "" if opened or first is None or first.start > ends[0].start else text[: first.start]
    again = next((mark for mark in meant if mark.kind == "opens" and mark.start >= ends[-1].end), None)
    rest = _cleaned(text[ends[-1].end : again.start if again else len(text)])
    if lead:
        return lead if rest is None else rest if len(lead.strip()) < _SHORT else lead + rest
    if again and (rest is None or len(rest) < _SHORT):
        return None
    return text if rest is None and ends[-1].weak else rest


def _unclosed(text: str, meant: Sequence[_Mark], cut: bool) -> str | None:
    """Reasoning that never ends: no answer, or what was said before it began."""
    if cut:
        return None
    first = next((mark for mark in meant if mark.kind == "opens" and not mark.weak), None)
    return text if first is None else text[: first.start]


def _late_ends(text: str, marks: Sequence[_Mark], fences: Sequence[tuple[int, int]]) -> list[_Mark]:
    """The end of reasoning that has begun, where no mark stands as they usually do: one that stands outside code."""
    bare = [mark for mark in marks[1:] if not _is_code(text, mark, fences)]
    ends = [mark for mark in bare if mark.kind == "closes"]
    unnamed = [mark for mark in ends if not _is_named(text, mark)]
    return unnamed[-1:] or ends[:1] or [mark for mark in bare if mark.kind == "answers"][:1]


def _cleaned(text: str) -> str | None:
    """An answer without what wraps it, None where nothing is left."""
    at = _noise_end(text, 0)
    while wrapped := _WRAPPING.match(text, at):
        at = _noise_end(text, wrapped.end())
    return text[at:] or None


def _noise_end(text: str, start: int) -> int:
    found = _NOISE.match(text, start)
    return found.end() if found else start


def _is_noise(text: str, end: int) -> bool:
    """Whether nothing but space and a template's own tokens stands before `end`."""
    return _NOISE.fullmatch(text, 0, end) is not None


# Marks


def _marks(text: str) -> list[_Mark]:
    """The first and the last marks, in order."""
    every = _all_marks(text)
    first = list(islice(every, _FIRST))
    return [*first, *deque(every, maxlen=_LAST)]


def _all_marks(text: str) -> Iterator[_Mark]:
    stripped = text.rfind(_STRIPPED_FINAL)
    for found in _MARK.finditer(text):
        if 0 < stripped < found.start() and (mark := _stripped_final(text, stripped)):
            yield mark
            stripped = -1
        if (kind := _kind(found)) is not None:
            weak = found["soft"] is not None or (found["bracket"] is not None and not found["bracket"].isupper())
            yield _Mark(kind, weak, found.start(), found.end())
    if stripped > 0 and (mark := _stripped_final(text, stripped)):
        yield mark


def _stripped_final(text: str, start: int) -> _Mark | None:
    end = start + len(_STRIPPED_FINAL)
    before, after = text[start - 1], text[end : end + 1]
    glued = not before.isalnum() and before not in " \"'`" and after.strip() and after not in "\"'`"
    return _Mark("closes", False, start, end) if glued else None


def _kind(found: re.Match[str]) -> Kind | None:
    group = found.lastgroup
    if found["answer"] or found["final"]:
        return "answers"
    if found["channel"]:
        return "closes" if found["channel"].lower() == "final" else "opens"
    if found["header"]:
        name = found["header"].lower()
        return "opens" if name in _THINKING else "answers" if name in _SPEAKING and found.start() > 0 else None
    if found["token"]:
        return _token_kind(found["token"])
    if found["control"] or found["bar"]:
        return "opens" if found["control"] == "4" or (found["bar"] or "").lower() == "start" else "closes"
    closes = group == "closes_channel" or found["closes"] or found["closes_bracket"] or found["closes_kimi"]
    return "closes" if closes else "opens"


def _token_kind(token: str) -> Kind | None:
    name = re.sub(r"[\u2581 :-]", "_", token.lower())
    kinds: tuple[tuple[Kind, re.Pattern[str]], ...] = (
        ("closes", _TOKEN_CLOSES),
        ("opens", _TOKEN_OPENS),
        ("answers", _TOKEN_ANSWERS),
    )
    return next((kind for kind, pattern in kinds if pattern.fullmatch(name)), None)


# Talked about, or meant


_CLOSING_QUOTES: Final = {
    '"': '"',
    "'": "'",
    "\u201d": "\u201c",
    "\u2019": "\u2018",
    "\u201c": "\u201e",
    "\u00bb": "\u00ab",
    "\u300d": "\u300c",
    "\u300f": "\u300e",
}
_QUOTES: Final = frozenset(_CLOSING_QUOTES.values())
_NAMED: Final = re.compile(
    r"[.,;:!?](?=\s|$|[\"'`)\u201d])|\)"
    r"|[\s'\u2019-]{1,3}(?:s\b|tags?|tokens?|markers?|marks?|elements?|blocks?|delimiters?|sections?|sequences?"
    r"|pairs?"
    r"|strings?|labels?|starts?|begins?|opens?|ends?|closes?|means?|denotes?|indicates?|signals?|wraps?|delimits?"
    r"|contains?|appears?|comes?|is an?|is the|is used|are|and\s{1,3}<|or\s{1,3}<|bzw|und|balises?|etiquetas?|ist"
    r"|est une?|es una?)\b"
    r"|\s?(?:\u6807\u7b7e|\u6807\u8bb0|\u6a19\u7c64|\u6a19\u8a18|\u30bf\u30b0|\ud0dc\uadf8|\u0442\u0435\u0433)",
    re.IGNORECASE,
)
"""What follows a mark that a sentence names: punctuation, or a word like tag."""
_NAMING: Final = re.compile(
    r"(?:^|[\s(])(?:the|an?|this|that|its|with|without|by|using|uses?|after|before|and|or|closing|opening|like|to|of"
    r"|in"
    r"|into|no|missing|writes?|adds?|until|than|from|between|called|named|as|literal|emits?|outputs?|inserts?|prints?"
    r"|see|tags?|tokens?|markers?|marks?|strings?|mit|und|oder|der|die|das|dem|den|avec|et|ou|le|la|les|con|y|el|una?"
    r"|e|com|da|do|\u0438|\u0441|\u0442\u0435\u0433)\s$",
    re.IGNORECASE,
)
_MIDST: Final = re.compile(r"[a-z,]\s$")
_GOES_ON: Final = re.compile(r"\s[a-z]")


def _meant(text: str, marks: Sequence[_Mark], fences: Sequence[tuple[int, int]], opened: bool) -> Iterator[_Mark]:
    """The marks that do what they say; the others stand in code, in quotation marks, or in a sentence about them."""
    named: _Mark | None = None
    for at, mark in enumerate(marks):
        if mark.kind == "answers":
            continue
        within = named is not None and mark.kind == "closes" and "\n" not in text[named.end : mark.start][:_LINE]
        if at == 0 and opened:
            yield mark
        elif within or (mark.weak and not (opened and marks[0].weak)) or _is_mention(text, mark, fences):
            named = mark if mark.kind == "opens" else None
        else:
            named = None
            yield mark


def _is_mention(text: str, mark: _Mark, fences: Sequence[tuple[int, int]]) -> bool:
    before, after = _line_around(text, mark)
    if _is_code(text, mark, fences) or _is_named(text, mark) or _NAMING.search(before[-40:]):
        return True
    ends = not text[mark.end :].strip()
    if mark.kind == "opens":
        quoted = before[-1:].isalnum() or before[-1:] in _QUOTES
        return ends or (bool(before) and quoted) or _MIDST.search(before) is not None
    if ends and text[max(0, mark.start - _LINE) : mark.start].rstrip().endswith(":"):
        return True
    return _MIDST.search(before) is not None and _GOES_ON.match(after) is not None


def _is_named(text: str, mark: _Mark) -> bool:
    return _NAMED.match(text, mark.end) is not None and text[mark.end : mark.end + 1] != "\n"


def _is_code(text: str, mark: _Mark, fences: Sequence[tuple[int, int]]) -> bool:
    """Whether a mark stands in a block of code, between backticks, or at the end of something in quotation marks."""
    if any(start <= mark.start < end for start, end in fences):
        return True
    before, after = _line_around(text, mark)
    if "`" in after and len(re.findall("`+", before)) % 2:
        return True
    return _is_indented(before) or _is_quoted(before, after)


def _is_indented(before: str) -> bool:
    return before.isspace() and (before[0] == "\t" or len(before) >= _INDENTED)


def _is_quoted(before: str, after: str) -> bool:
    """Whether a quotation ends with the mark that begins before it; an apostrophe begins none within a word."""
    opening = _CLOSING_QUOTES.get(after[:1])
    if opening == '"':
        return before.count(opening) % 2 == 1
    place = -1 if opening is None else before.rfind(opening)
    return place >= 0 and (opening != "'" or not before[max(0, place - 2) : place].strip("rbfuRBFU")[-1:].isalnum())


def _line_around(text: str, mark: _Mark) -> tuple[str, str]:
    """What stands before and after a mark on its line."""
    before = text[max(0, mark.start - _LINE) : mark.start]
    return before[before.rfind("\n") + 1 :], text[mark.end : mark.end + _LINE].partition("\n")[0]


_FENCE: Final = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})([^\n`]*)$", re.MULTILINE)


def _fenced(text: str) -> list[tuple[int, int]]:
    """Blocks of code that end; one that another begins in was never closed, as reasoning often leaves it."""
    blocks: list[tuple[int, int]] = []
    opening: tuple[int, str] | None = None
    for fence in _FENCE.finditer(text) if "```" in text or "~~~" in text else ():
        if opening is None or fence[2].strip():
            opening = fence.start(), fence[1][:3]
        elif fence[1].startswith(opening[1]):
            blocks.append((opening[0], fence.end()))
            opening = None
    return blocks[-_LAST:]


# Reasoning under a heading, in a block of its own, or as a quotation: only at the beginning


_TOPIC: Final = (
    r"(?:\U0001f4ad[ \t]?|\U0001f914[ \t]?)?(?:my )?(?:internal |step-by-step )?(?:thinking|thoughts?|reasoning"
    r"|chain of thought|scratchpad|reflection|inner monologue)(?: process| steps)?[ \t]?"
)
_HEADING: Final = re.compile(
    rf"(?:#{{1,6}}[ \t]{{0,3}}|\*\*|__|){_TOPIC}(?::(?:\*\*|__)?|(?:\*\*|__):)"
    rf"|(?:#{{1,6}}[ \t]{{0,3}}|\*\*|__){_TOPIC}(?:\*\*|__)?[ \t]{{0,3}}\n",
    re.IGNORECASE,
)
_ANSWER_HEADING: Final = re.compile(
    r"^(?:#{1,6}[ \t]{0,3}|\*\*|__)(?:my )?(?:final )?(?:answer|response|output|reply)[ \t]?:?(?:\*\*"
    r"|__)?:?[ \t]{0,3}"
    r"|^(?:my )?(?:final )?(?:answer|response|output|reply):[ \t]{0,3}",
    re.IGNORECASE | re.MULTILINE,
)
_GRANITE: Final = re.compile(r"here(?:'s| is) my thought process[ \t]?:", re.IGNORECASE)
_APRIEL: Final = re.compile(r"here(?:'s| is| are) my reasoning(?: steps)?[ \t]?:", re.IGNORECASE)
_GRANITE_ANSWER: Final = re.compile(
    r"here(?:'s| is) my (?:final )?(?:response|answer)[ \t]?:|\[BEGIN FINAL RESPONSE\]", re.IGNORECASE
)
_BLOCK: Final = re.compile(
    r"(?P<fence>`{3,12}|~{3,12}|:{3,12})[ \t]{0,3}(?:thinking|think|thoughts?|reasoning|scratchpad|reflection|cot"
    r"|chain[-_ ]of[-_ ]thought)\b[^\n]{0,80}\n",
    re.IGNORECASE,
)
_BLOCK_END: Final = re.compile(r"^[ \t]{0,3}(`{3,12}|~{3,12}|:{3,12})[ \t]{0,8}$", re.MULTILINE)
_DETAILS: Final = re.compile(
    r"<details(?:[^<>]{0,200}(?:reason|think|thought)[^<>]{0,100}>\s{0,8}<summary[^<>]{0,100}>"
    r"|[^<>]{0,300}>\s{0,8}<summary[^<>]{0,100}>[^<]{0,60}(?:reason|think|thought))",
    re.IGNORECASE,
)
_OLLAMA: Final = re.compile(r"thinking ?(?:\.\.\.|\u2026)[ \t]{0,3}\n", re.IGNORECASE)
_OLLAMA_END: Final = re.compile(r"(?:\.\.\.|\u2026) ?done thinking\.?", re.IGNORECASE)
_QUOTED: Final = re.compile(
    r"(?:> ?)?[*_]{0,3}(?:\U0001f4ad ?)?(?:thinking|thought|reasoning)\b[^\n]{0,40}\n+(?=>)", re.IGNORECASE
)
_HARMONY_STRIPPED: Final = re.compile(r"analysis(?=[A-Z\u0400-\u04ff\u3040-\u9fff])")
_DETAILS_END: Final = re.compile("</details>", re.IGNORECASE)
_CUT: Final = ""
_FORMS: Final[tuple[tuple[re.Pattern[str], re.Pattern[str], str | None], ...]] = (
    (_DETAILS, _DETAILS_END, _CUT),
    (_GRANITE, _GRANITE_ANSWER, _CUT),
    (_APRIEL, _GRANITE_ANSWER, None),
    (_OLLAMA, _OLLAMA_END, None),
    (_HEADING, _ANSWER_HEADING, None),
)
"""How reasoning begins, how it ends, and what it is without an end: cut, or an answer that only looks like it."""


def _headed(text: str) -> str | None:
    """What follows reasoning that has no marks of its own; empty where it is cut; None where none begins here."""
    start = _noise_end(text, 0)
    for opening, ending, otherwise in _FORMS:
        if found := opening.match(text, start):
            return _after(text, ending, found.end(), otherwise)
    return _in_block(text, start)


def _in_block(text: str, start: int) -> str | None:
    if block := _BLOCK.match(text, start):
        ends = _BLOCK_END.finditer(text, block.end())
        return next((text[one.end() :] for one in ends if one[1] == block["fence"]), _CUT)
    if _HARMONY_STRIPPED.match(text, start):
        return text.rpartition(_STRIPPED_FINAL)[2] if _STRIPPED_FINAL in text else _CUT
    quoted = _QUOTED.match(text, start)
    return None if quoted is None else _behind_quotation(text, quoted.end())


def _after(text: str, end: re.Pattern[str], start: int, otherwise: str | None) -> str | None:
    """What follows the last match of `end`, or `otherwise`."""
    last = deque(end.finditer(text, start), maxlen=1)
    return text[last[0].end() :] if last else otherwise


def _behind_quotation(text: str, start: int) -> str:
    while start < len(text):
        line = text.find("\n", start) + 1 or len(text)
        if not text.startswith(">", start) and text[start:line].strip():
            break
        start = line
    return text[start:]
