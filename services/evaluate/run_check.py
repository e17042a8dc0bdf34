"""Every figure of a run and of a comparison, computed again from the stored answers; where it differs is named. Pure.

What cannot be computed here, for want of a suite, of a version of a scorer or of a raw answer, is said to be
`not recomputed`: it is never taken to be right.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from pydantic import ValidationError

from schemas.evaluation import Comparison, Run
from services.evaluate.comparison import SYSTEM_PROMPT, compare, comparison_object, comparison_record
from services.evaluate.endpoints import API_FORMS
from services.evaluate.endpoints.protocol import numbered_calls
from services.evaluate.profile import profile_of
from services.evaluate.result import (
    AnswerScore,
    AskedSuite,
    RunResult,
    SentMessage,
    SuiteAnswer,
    answered,
    status_of,
    to_record,
)
from services.evaluate.run_seal import RunSeal, seal_of
from services.evaluate.scorer_errors import SCORER_OF, errors_of
from services.evaluate.scorer_rubrics import scorer_of
from services.evaluate.scorers import COMPLIANCE
from services.evaluate.stated_run import StatedComparison, StatedFile, StatedRun
from services.evaluate.suite import Item, Suite, suite_sha256
from services.wording import run_checks as words

_NEAR: Final = 1e-6
"""Floats nearer than this are equal: exports of comparisons have six decimals, and libraries differ in the last."""
_LONGEST: Final = 300
_READ_BACK: Final = (
    "text",
    "refusal",
    "finish_reason",
    "served",
    "system_fingerprint",
    "tool_calls",
    "calls",
)
CheckOutcome = Literal["equal", "differs", "not recomputed"]
ScoreAnswer = Callable[[Item, SuiteAnswer], AnswerScore]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not what the answers give: of which run, which item, which field; values as JSON, shortened."""

    run: str
    item: str | None
    field: str
    stored: str
    recomputed: str


@dataclass(frozen=True, slots=True)
class NotRecomputed:
    """Something that could not be computed here, and why."""

    run: str
    what: str
    why: str


@dataclass(slots=True)
class CheckReport:
    """What was found of one run, or of one comparison.

    Attributes:
        answers: that were looked at; scored: of them those that were scored anew. figures: that were computed anew.
    """

    run: str
    suite: str
    answers: int = 0
    scored: int = 0
    figures: int = 0
    differences: list[Difference] = field(default_factory=list)
    unknown: list[NotRecomputed] = field(default_factory=list)

    def equal(self, name: str, stored: Any, recomputed: Any, item: str | None = None) -> bool:
        """Whether two values are the same; noted where they are not."""
        self.figures += 1
        if _same(stored, recomputed):
            return True
        self.differences.append(Difference(self.run, item, name, shown(stored), shown(recomputed)))
        return False

    def cannot(self, what: str, why: str) -> None:
        """Note what could not be computed."""
        self.unknown.append(NotRecomputed(self.run, what, why))

    @property
    def outcome(self) -> CheckOutcome:
        """One word: a difference weighs more than what could not be computed."""
        return "differs" if self.differences else "not recomputed" if self.unknown else "equal"


@dataclass(frozen=True, slots=True)
class CheckTools:
    """What a run is computed again with.

    Attributes:
        suite: the one that it names, where it is here. score: scores an answer; scorers: in these versions.
        sealed: that something else than hashes of the file says that no answer was altered.
    """

    suite: Suite | None
    score: ScoreAnswer
    scorers: Mapping[str, str]
    sealed: bool = False


def check_run(stated: StatedFile, tools: CheckTools) -> CheckReport:
    """Everything that follows from a run's answers, computed again."""
    run = stated.run
    report = CheckReport(run.id, run.suite.name, len(run.answers))
    _seal(report, run, stated.seal, tools.sealed)
    if not _stands(report, run):
        report.cannot(words.FIGURES, words.CONTRADICTS)
        return report
    items = _items(report, run, tools.suite)
    _conditions(report, run)
    _read_back(report, run)
    scored = _scores(report, run, items, tools)
    _status(report, scored)
    _rates(report, scored, stated.rates)
    return report


def _seal(report: CheckReport, run: RunResult, seal: RunSeal | None, sealed: bool) -> None:
    """The hashes that a file holds of its run."""
    if seal is None:
        if not sealed:
            report.cannot(words.HASHES, words.NO_SEAL)
        return
    now = seal_of(run)
    for name in sorted({*seal.answers, *now.answers}):
        item, _, repeat = name.rpartition("/")
        report.equal(f"answer {repeat} sha256", seal.answers.get(name), now.answers.get(name), item)
    report.equal("seal.sha256", seal.sha256, now.sha256)


def _stands(report: CheckReport, run: StatedRun) -> bool:
    """Whether answers are those to the items: else no figure follows from them."""
    hashes = [item.sha256 for item in run.suite.items]
    suite = run.suite
    report.equal("suite.sha256", suite.sha256, suite_sha256(suite.name, suite.version, suite.margin, hashes))
    given = Counter((answer.item, answer.repeat) for answer in run.answers)
    known = {item.id for item in run.suite.items}
    fine = len(known) == len(run.suite.items)
    report.equal("suite.items", len(run.suite.items), len(known))
    for (item, repeat), n in given.items():
        fine &= report.equal(f"answer {repeat}", n, 1 if item in known else 0, item)
    if run.status == "complete" and fine:
        for one in run.asked:
            stated = sum((one.id, repeat) in given for repeat in range(one.repeats))
            report.equal("answers", stated, one.repeats, one.id)
    if fine:
        try:
            RunResult.decode(run.encode())
        except ValidationError as error:
            message = error.errors(include_url=False, include_input=False)[0]["msg"]
            if not report.differences:
                report.equal("run", message.removeprefix("Value error, "), None)
            fine = all(item.pair is None or item.pair in known for item in run.suite.items)
    return fine


def _items(report: CheckReport, run: StatedRun, suite: Suite | None) -> dict[str, Item]:
    """The items of the run whose text is here, by id; what the run says of them is held against it."""
    here = {} if suite is None else {item.id: item for item in suite.items}
    if suite is not None and suite.sha256 == run.suite.sha256:
        asked = {item.id: item for item in AskedSuite.of(suite).items}
        for item in run.suite.items:
            other = asked.get(item.id)
            for name, value in item.model_dump(mode="json").items():
                report.equal(name, value, None if other is None else getattr(other, name), item.id)
        return {item.id: here[item.id] for item in run.suite.items if item.id in here}
    same = {item.id: here[item.id] for item in run.suite.items if _is(item.sha256, here.get(item.id))}
    left = len(run.suite.items) - len(same)
    if left:
        name = f"{run.suite.name} {run.suite.version}"
        why = words.suite_absent(name) if suite is None else words.suite_differs(name, suite.version)
        report.cannot(words.items(left, len(run.suite.items)), why)
    return same


def _is(sha256: str, item: Item | None) -> bool:
    return item is not None and item.sha256 == sha256


def _conditions(report: CheckReport, run: StatedRun) -> None:
    """What was the same for all questions: the model, the settings, how often the scorers are wrong."""
    stated_each = any(answer.settings for answer in run.answers)  # what was made elsewhere may state them once
    for answer in run.answers:
        report.equal("requested", answer.requested, run.target.model, answer.item)
        if stated_each:
            report.equal("settings", dict(answer.settings), dict(run.settings), answer.item)
    if run.seed is not None:
        report.equal("seed", run.seed, run.settings.get("seed"))
    known = errors_of(run.scorers)
    stated = {name: one.model_dump(mode="json") for name, one in run.scorer_errors.items()}
    for measure in sorted({*known, *stated}):
        if measure in known:
            report.equal(f"scorer_errors.{measure}", stated.get(measure), known[measure].model_dump(mode="json"))
        else:
            version = run.scorers.get(SCORER_OF.get(measure, measure))
            report.cannot(words.errors_of(measure), words.version_absent(version, None))


def _read_back(report: CheckReport, run: StatedRun) -> None:
    """Texts and calls against the raw answers of the endpoint."""
    form = API_FORMS.get(run.target.api)  # type: ignore[call-overload]
    without = 0
    for answer in run.answers:
        if answer.error is not None:
            continue
        if form is None or answer.raw is None:
            without += 1
            continue
        try:
            found = form.answer(answer.raw)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError, RecursionError) as error:
            report.equal("raw", type(error).__name__, None, answer.item)
            continue
        told = {**answer.model_dump(), **{name: getattr(found, _NAMES.get(name, name)) for name in _READ_BACK}}
        read = SuiteAnswer.model_validate(told)
        for name in _READ_BACK:
            report.equal(name, _plain(getattr(answer, name)), _plain(getattr(read, name)), answer.item)
    if without:
        report.cannot(words.texts(without, len(run.answers)), words.NO_RAW)


_NAMES: Final = {"system_fingerprint": "fingerprint"}


def _scores(report: CheckReport, run: StatedRun, items: Mapping[str, Item], tools: CheckTools) -> RunResult:
    """The run with every answer scored anew, where the version of its scorer is here."""
    measures = {item.id: item.measure for item in run.suite.items}
    left: defaultdict[tuple[str, str], int] = defaultdict(int)
    answers = []
    for answer in run.answers:
        item, name = items.get(answer.item), scorer_of(measures[answer.item])
        if item is None:
            left["", ""] += 1
        else:
            _messages(report, run, item, answer)
            if (version := run.scorers.get(name)) is None or version != tools.scorers.get(name):
                left[name, version or ""] += 1
                item = None
        if item is None:
            _judge(report, answer, run.scorers.get(name) if name == COMPLIANCE else None)
        answers.append(answer if item is None else _scored(report, item, answer, tools))
    for (name, version), n in sorted(left.items()):
        if name:
            why = words.version_absent(version or None, tools.scorers.get(name))
            report.cannot(words.scores(n, len(run.answers), name), why)
        else:
            report.cannot(words.scores(n, len(run.answers), None), words.NO_ITEM)
    return run.model_copy(update={"answers": tuple(answers)})


def _judge(report: CheckReport, answer: SuiteAnswer, version: str | None) -> None:
    """Of an answer that is not scored anew: whoever was asked about it is what the run says it was judged by."""
    if answer.scored is not None and answer.scored.judge is not None:
        report.equal("scored.judge", answer.scored.judge, version, answer.item)


def _scored(report: CheckReport, item: Item, answer: SuiteAnswer, tools: CheckTools) -> SuiteAnswer:
    report.scored += 1
    found, stated = tools.score(item, answer), answer.scored
    if stated is None:
        report.equal("scored", None, found.model_dump(mode="json"), item.id)
    else:
        report.equal("scored.event", stated.event, found.event, item.id)
        report.equal("scored.said", stated.said, found.said, item.id)
        report.equal("scored.judge", stated.judge, found.judge, item.id)
    return answer.model_copy(update={"scored": found})


def _messages(report: CheckReport, run: StatedRun, item: Item, answer: SuiteAnswer) -> None:
    """What was sent, against the item, and the system prompt before it against its hash."""
    prompt, hashed = _prompt_of(item, answer), run.target.system_prompt_sha256
    now = None if prompt is None else hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()
    report.equal("system_prompt_sha256", hashed, now, item.id)
    sent = numbered_calls(item.asked_under(prompt))
    wanted = [SentMessage.model_validate(turn.model_dump()).model_dump(mode="json") for turn in sent]
    report.equal("messages", [one.model_dump(mode="json") for one in answer.messages], wanted, item.id)


def _prompt_of(item: Item, answer: SuiteAnswer) -> str | None:
    """What stands in the system message before what the item adds to it."""
    told = [message.content for message in answer.messages if message.role == "system"]
    own = "\n\n".join(turn.content for turn in item.messages if turn.role == "system")
    if not told or told[0] == own:
        return None
    return told[0].removesuffix(f"\n\n{own}") if own else told[0]


def _status(report: CheckReport, run: RunResult) -> None:
    """A run that says it is complete must be; why another one is not, its answers alone do not say."""
    if run.status != "complete":
        good = sum(map(answered, run.answers))
        report.cannot(words.status(run.status), words.why_status(good, len(run.answers)))
        return
    wanted = sum(item.repeats for item in run.asked)
    found, _ = status_of(wanted, run.answers, None, run.target.model, None)
    report.equal("status", run.status, found)


def _rates(report: CheckReport, run: RunResult, stated: Sequence[Any] | None) -> None:
    """Events, rates, intervals and corrected rates of every measure and hazard."""
    if stated is None:
        return
    found = {f"{one.measure} ({one.hazard})": asdict(one) for one in profile_of(run)}
    told = {_row_name(row): row for row in stated}
    report.equal("rates", len(stated), len(found))
    for name in [*found, *(name for name in told if name not in found)]:
        row, now = told.get(name), found.get(name)
        if not isinstance(row, dict) or now is None:
            report.equal(f"rates: {name}", row, now)
            continue
        for key in [*now, *(key for key in row if key not in now)]:
            report.equal(f"rates: {name}: {key}", row.get(key), now.get(key))


def _row_name(row: Any) -> str:
    return f"{row.get('measure')} ({row.get('hazard')})" if isinstance(row, dict) else shown(row)


def check_comparison(
    stated: StatedComparison, pairs: Sequence[tuple[RunResult | None, RunResult]], name: str
) -> CheckReport:
    """Verdicts, changes, intervals and p of a comparison, computed again from its two runs of each suite."""
    report = CheckReport(name, ", ".join(stated.suites))
    said = stated.told.get("across") == [SYSTEM_PROMPT]  # what it says else is no figure, and differs
    across = (SYSTEM_PROMPT,) if said else ()
    found = comparison_object([(after.suite.name, compare(before, after, across)) for before, after in pairs], across)
    for place, now in _leaves(found):
        there, value = _at(stated.told, place)
        report.equal(".".join(map(str, place)), value if there else None, now)
    extra = [place for place, _ in _leaves(stated.told) if not _at(found, place)[0]]
    for place in extra:
        if len(place) > 1:
            report.equal(".".join(map(str, place)), _at(stated.told, place)[1], None)
        else:
            report.cannot(words.field_of(str(place[0])), words.NO_FIGURE)
    return report


def check_records(
    report: CheckReport,
    run: RunResult,
    told: Run | None,
    before: RunResult | None,
    compared: Comparison | None,
    across: Sequence[str] = (),
) -> None:
    """What was told of a stored run, its record and its comparison, against what follows from it."""
    if told is not None:
        now = to_record(run).model_dump(mode="json")
        for name, value in told.model_dump(mode="json").items():
            report.equal(f"record: {name}", value, now[name])
    if compared is None:
        return
    if before is None and compared.before_run is not None:
        report.cannot(words.COMPARISON, words.run_absent(compared.before_run))
        return
    again = comparison_record(before, run, compare(before, run, across), compared.ts).model_dump(mode="json")
    for name, value in compared.model_dump(mode="json").items():
        report.equal(f"comparison: {name}", value, again[name])


def _leaves(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value that holds no other, with its place; an empty list or object is one."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    parts = list(inner)
    if not parts:
        yield place, value
    for key, one in parts:
        yield from _leaves(one, (*place, key))


def _at(value: Any, place: Sequence[str | int]) -> tuple[bool, Any]:
    for key in place:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return False, None
    return True, value


def _plain(value: Any) -> Any:
    return [one.model_dump(mode="json") for one in value] if isinstance(value, tuple) else value


def _same(one: Any, other: Any) -> bool:
    """Equal, numbers within `_NEAR`; true and 1 are not the same."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=_NEAR, abs_tol=_NEAR)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def shown(value: Any) -> str:
    """A value as JSON, short enough to read; what would steer a terminal is spelled out."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
