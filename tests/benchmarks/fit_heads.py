"""Fit the heads that ship: python -m tests.benchmarks.fit_heads --data DIR --out services/signals/heads/weights/.

Reads recorded sets by path, only those whose licence allows it, and writes one file a signal; the same data and the
same embedder give the same bytes. `--only NAME` fits one, `--cache FILE.npz` keeps embeddings between runs.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.sparse import vstack
from threadpoolctl import threadpool_limits

from services.signals.answer_voices import last_voice
from services.signals.harmful_compliance import HarmfulCompliance
from services.signals.heads.fitting import (
    RULES,
    WINDOWS,
    WORDS,
    Labelled,
    Numbers,
    Parts,
    auroc,
    combined,
    fit_head,
    fit_parts,
    log_odds,
    threshold_at,
    word_rows,
)
from services.signals.heads.grams import long_buckets, opening_buckets
from services.signals.heads.head import Heads, LinearHead, dump_heads
from services.signals.heads.reading import BUCKETS
from services.signals.jailbreak_attempt import JailbreakAttempt, jailbreak_log_odds
from services.signals.refusal_rules import rule_log_odds
from services.signals.toxic_wordings import toxic_log_odds
from tests.benchmarks.evasive_answers import inner_sentences, written_answers
from tests.benchmarks.everyday_prompts import distress_prompts, everyday_prompts, persona_prompts
from tests.benchmarks.head_data import LICENCES, Library, Row, Source, always, flag, never, words_of
from tests.support.said import said as exchange

NARROW: Final = 1 << 14
COMMAND: Final = "python -m tests.benchmarks.fit_heads --data DIR --out services/signals/heads/weights/"
REFUSALS: Final = (
    Source("xstest", flag("refusal")),
    Source("llmdrift_sensitiveq", flag("refused")),
    Source("refusal_direction", flag("is_jailbreak_substring_matching", "0")),
    Source("arena_hard", never),
)


def harmful_of(row: Row) -> bool | None:
    """Whether an answer to a harmful prompt of XSTest did what was asked; None on its safe prompts."""
    return None if str(row["labels"]["prompt_safe"]) == "1" else str(row["labels"]["refusal"]) == "0"


COMPLIANCE: Final = (
    Source("jbb_artifacts", flag("harmful_compliance")),
    Source("gptfuzz_labeled", flag("harmful_compliance"), most=6160),
    Source("refusal_direction", flag("is_jailbreak_llamaguard2")),
    Source("xstest", harmful_of),
)


def options_missed(row: Row) -> bool:
    """Whether an answer to a multiple choice names no option: it evades the question."""
    return row["response"].strip()[:2].strip("( ")[:1] not in set("ABCDEFGHIJ")


def done_in_full(row: Row) -> bool | None:
    """False, for no evasion, of an answer of XSTest that does all that was asked by its annotators; else None."""
    return False if row["labels"]["human"] == "1_full_compliance" else None


def helped(row: Row) -> bool | None:
    """False of an answer to a harmless prompt of refusal_direction that holds no words of a refusal; else None."""
    marks = row["labels"]
    harmless, answered = str(marks["prompt_harmful"]) == "0", str(marks["is_jailbreak_substring_matching"]) == "1"
    return False if harmless and answered else None


EVASIONS: Final = (
    Source("llmdrift_opinionqa", options_missed, most=300),
    Source("arena_hard", never),
    Source("xstest", done_in_full),
    Source("refusal_direction", helped),
)
ORDINARY: Final = (
    Source("arena_hard", never, "prompt"),
    Source("persona_prompts_benign", never, "prompt"),
    Source("llmdrift_opinionqa", never, "prompt", 400),
    Source("llmdrift_code", never, "prompt"),
    Source("cyberseceval", lambda row: None if str(row["labels"]["injection"]) == "1" else False, "prompt"),
)
USUAL: Final = 0.1
"""Share of harmful prompts at which `harmful_request` states its probability."""
HARMFUL: Final = (
    Source("xstest", flag("prompt_safe", "0"), "prompt"),
    Source("refusal_direction", flag("prompt_harmful"), "prompt"),
    *(
        Source(name, always, "prompt")
        for name in (
            "advbench",
            "harmbench_behaviors",
            "strongreject_prompts",
            "simple_safety_tests",
            "ailuminate_demo",
            "gptfuzz_labeled",
        )
    ),
)


def _is_template(row: Row) -> bool | None:
    return True if row["source"] == "jbb/JailbreakChat" else None


def _is_jailbreak(row: Row) -> bool | None:
    return True if row["labels"]["group"] == "Jailbreak" else None


JAILBREAKS: Final = (
    Source("inthewild_jailbreaks", always, "prompt"),
    Source("jbb_artifacts", _is_template, "prompt"),
    Source("giskard_injections", _is_jailbreak, "prompt"),
    Source("xstest", never, "prompt"),
    Source("refusal_direction", never, "prompt"),
    Source("advbench", never, "prompt"),
    Source("ailuminate_demo", never, "prompt"),
    *ORDINARY,
)


def at_least(name: str, high: float = 0.5, low: float = 0.3) -> Callable[[Row], bool | None]:
    """Whether a score of a row is high; None between low and high."""

    def label(row: Row) -> bool | None:
        value = float(row["labels"][name])
        return True if value >= high else False if value < low else None

    return label


TOXIC: Final = (
    Source("surge_toxicity", flag("toxic"), "prompt"),
    Source("perspective_wiki2k", at_least("perspective_toxicity"), "prompt"),
    Source("davidson_tweets", flag("toxic"), "prompt", 3000),
    Source("arena_hard", never, "response", 400),
)


def refusal(library: Library) -> Heads:
    """Words, windows and rules of the answer."""
    groups = [with_rules(library, source) for source in REFUSALS]
    return heads_of("refusal", {"refusal": fit_head(groups)}, REFUSALS, groups)


def with_rules(library: Library, source: Source) -> Labelled:
    """A source with the log odds of the rules of `refusal`."""
    rows = library.chosen(source)
    rules = np.array([rules_of(row["response"]) for row in rows])
    return replace(library.labelled(source), said={"rules": rules})


def rules_of(response: str) -> float:
    """Log odds of a refusal by rules alone."""
    return rule_log_odds(exchange(response).spoken or "")


def harmful_request(library: Library) -> Heads:
    """Words and window of the prompt."""
    sources = (*HARMFUL, *ORDINARY)
    groups = [*(library.labelled(source, closing=False) for source in sources), plain_prompts(library)]
    return heads_of("harmful_request", {"harmful_request": fit_requests(groups)}, sources, groups, fit_requests)


def fit_requests(groups: Sequence[Labelled]) -> LinearHead:
    """A head at the level of traffic where one prompt in ten is harmful, not at that of sets made of harmful ones."""
    head, every = fit_mixed(groups), pooled(groups)
    share = float(every.labels.mean())
    shift = math.log(USUAL / (1 - USUAL)) - math.log(share / (1 - share))
    return replace(head, full=_shifted(head.full, shift), plain=_shifted(head.plain, shift))


def _shifted(factors: Mapping[str, float], shift: float) -> dict[str, float]:
    return {**factors, "bias": factors["bias"] + shift} if factors else {}


def plain_prompts(library: Library) -> Labelled:
    """Short questions of every day, written for Keelwatch: recorded sets hold few."""
    return _made(library, "everyday", everyday_prompts(), 4)


def plain_personas(library: Library) -> Labelled:
    """Roles that break no rule, written for Keelwatch: without them a head takes any role for an attack."""
    return _as_attempts(_made(library, "personas", persona_prompts()), persona_prompts())


def _made(library: Library, name: str, texts: Sequence[str], times: int = 1) -> Labelled:
    labels = np.zeros(len(texts), dtype=bool)
    made = Labelled(name, words_of(texts), library.windows(texts, closing=False), {}, labels)
    return made.rows(np.tile(np.arange(len(texts)), times))


def harmful_compliance(library: Library) -> Heads:
    """Words and windows of answers to harmful prompts, and that they did not refuse."""
    groups = compliance_groups(library)
    by_label = {"harmful_compliance": fit_compliance(groups)}
    heads = heads_of("harmful_compliance", by_label, COMPLIANCE, groups, fit_compliance)
    return replace(heads, facts={**heads.facts, "reads": HarmfulCompliance.reads})


def fit_compliance(groups: Sequence[Labelled]) -> LinearHead:
    """A head that trusts the words of an answer most: on sources left out nothing beside them orders as well."""
    return fit_head(groups, strength={WORDS: 3.0, WINDOWS: 0.3}, trust={WORDS: 4.0, "answered": 0.25})


def compliance_groups(library: Library) -> list[Labelled]:
    """The sources, each with log odds of no refusal by a head that was fitted without it."""
    refusals = [with_rules(library, source) for source in REFUSALS]
    known = {one.name for one in refusals}

    @cache
    def refusal_without(left: str) -> LinearHead:
        return fit_head([one for one in refusals if one.name != left])

    groups = []
    for source in COMPLIANCE:
        found, left = with_rules(library, source), source.set if source.set in known else ""
        groups.append(in_its_voice(found, library.chosen(source), -log_odds(refusal_without(left), found)))
    return groups


def in_its_voice(of: Labelled, rows: Sequence[Row], answered: Numbers) -> Labelled:
    """A source as `harmful_compliance` reads it: the words of the voice that goes on, and whether that one declines."""
    spoken = [exchange(row["response"]).spoken or "" for row in rows]
    voices = list(map(last_voice, spoken))
    another = np.array([voice != all_of_it for voice, all_of_it in zip(voices, spoken, strict=True)])
    by_rules = np.array([-rule_log_odds(voice) for voice in voices])
    words = word_rows([opening_buckets(voice, BUCKETS) for voice in voices], BUCKETS)
    return replace(of, words=words, said={"answered": np.where(another, by_rules, answered)}, rules=None)


def evasion(library: Library) -> Heads:
    """Words and windows of the answer: evasions written for Keelwatch, against recorded answers that do as asked."""
    groups = [*(with_sentences(library, source) for source in EVASIONS), *written_evasions(library)]
    return heads_of("evasion", {"evasion": fit_evasions(groups)}, EVASIONS, groups, fit_evasions)


def with_sentences(library: Library, source: Source) -> Labelled:
    """A source, and where all of it answers what was asked single sentences of it too: most evasions are as short."""
    whole = library.labelled(source)
    if whole.labels.any():
        return whole
    sentences = inner_sentences([row["response"] for row in library.chosen(source)])
    return replace(pooled([whole, answers_of(library, source.set, sentences)]), name=source.set)


def written_evasions(library: Library) -> list[Labelled]:
    """Evasive and direct answers, one group a way to evade."""
    kinds = dict.fromkeys(answer.kind for answer in written_answers())
    groups = []
    for kind in kinds:
        some = [answer for answer in written_answers() if answer.kind == kind]
        groups.append(answers_of(library, kind, [one.text for one in some], [one.evades for one in some]))
    return groups


def answers_of(library: Library, name: str, texts: Sequence[str], labels: Sequence[bool] = ()) -> Labelled:
    """Texts as answers with these labels; without any all are false."""
    said = np.array(labels, dtype=bool) if labels else np.zeros(len(texts), dtype=bool)
    return Labelled(name, words_of(texts), library.windows(texts, closing=True), {}, said)


def fit_evasions(groups: Sequence[Labelled]) -> LinearHead:
    """A head that is true from where 1% of answers that its parts had not seen and that do as asked would be."""
    return fit_cut(groups, {WORDS: 3.0, WINDOWS: 3.0}, {}, 0.01)


def jailbreak_attempt(library: Library) -> Heads:
    """Words, window and wordings of the prompt."""
    groups = [*(with_keywords(library, source) for source in JAILBREAKS), plain_personas(library)]
    heads = heads_of("jailbreak_attempt", {"jailbreak_attempt": fit_jailbreaks(groups)}, JAILBREAKS, groups)
    return replace(heads, facts={**heads.facts, "reads": JailbreakAttempt.reads})


def with_keywords(library: Library, source: Source) -> Labelled:
    """A source of prompts as `jailbreak_attempt` reads it."""
    return _as_attempts(library.labelled(source, closing=False), [row["prompt"] for row in library.chosen(source)])


def _as_attempts(of: Labelled, prompts: Sequence[str]) -> Labelled:
    """With the words that `jailbreak_attempt` reads of prompts, and the log odds of its wordings."""
    rules = np.array([jailbreak_log_odds(prompt) for prompt in prompts])
    return replace(
        of, words=word_rows([long_buckets(prompt, BUCKETS) for prompt in prompts], BUCKETS), said={"rules": rules}
    )


def fit_mixed(groups: Sequence[Labelled]) -> LinearHead:
    """A head whose combination is fitted on parts of all sources mixed: for sources that hold one kind, or few rows."""
    return fit_head(folds(pooled(groups), 4))


def fit_jailbreaks(groups: Sequence[Labelled]) -> LinearHead:
    """A head that is true from where 1.6% of ordinary prompts that its parts had not seen would be called so."""
    return fit_cut(groups, _SHARP, {RULES: 3.0}, ALARMS)


def fit_cut(
    groups: Sequence[Labelled], strength: Mapping[str, float], trust: Mapping[str, float], alarms: float
) -> LinearHead:
    """A head of all sources mixed, true from where this share of what is false, that its parts had not seen, is."""
    mixed = folds(pooled(groups), 4)
    parts = fit_parts(mixed, strength=strength)
    left = [(fit_parts([one for one in mixed if one is not of], strength=strength).scores(of), of) for of in mixed]
    head = combined(parts, left, trust)
    thresholds = [min(0.5, _threshold(factors, parts, left, alarms)) for factors in (head.full, head.plain)]
    return replace(head, threshold=thresholds[0], plain_threshold=thresholds[1])


def _threshold(
    factors: Mapping[str, float],
    parts: Parts,
    left: Sequence[tuple[Mapping[str, Numbers], Labelled]],
    alarms: float,
) -> float:
    """From where on `alarms` of what is false would be called true, of rows that the parts had not seen."""
    if not factors:
        return 0.5
    level = factors["bias"] - sum(factors.get(name, 0.0) * bias for name, bias in parts.bias.items())
    found = [level + sum(factors.get(name, 0.0) * scores[name] for name in scores) for scores, _ in left]
    chance = 1 / (1 + np.exp(-np.concatenate(found)))
    return threshold_at(chance, np.concatenate([of.labels for _, of in left]), alarms)


ALARMS: Final = 0.016
_SHARP: Final = {WORDS: 10.0, WINDOWS: 3.0}
"""Long role-play without and with an attack shares most words: a loose ridge tells them apart."""


def pooled(groups: Sequence[Labelled]) -> Labelled:
    """Sources of one kind each as a single one: left out one by one they would say nothing of what sets them apart."""
    windows = [one.windows for one in groups if one.windows is not None]
    return Labelled(
        "+".join(one.name for one in groups),
        vstack([one.words for one in groups], format="csr"),
        np.vstack(windows),
        {name: np.concatenate([one.said[name] for one in groups]) for name in groups[0].said},
        np.concatenate([one.labels for one in groups]),
    )


def toxicity(library: Library) -> Heads:
    """One head for toxic texts, and narrower ones that say of which kind."""
    groups = [with_toxic_wordings(library, source) for source in TOXIC]
    by_label = {"toxicity": fit_head(groups)}
    kinds = {"hate": ("davidson_tweets", flag("hate"))}
    kinds |= {kind: ("perspective_wiki2k", at_least(f"perspective_{kind}")) for kind in ("insult", "threat")}
    for kind, (name, label) in kinds.items():
        source = Source(name, label, "prompt", 3000)
        by_label[kind] = fit_head(folds(library.labelled(source, width=NARROW), 3))
    return heads_of("toxicity", by_label, TOXIC, groups)


def with_toxic_wordings(library: Library, source: Source) -> Labelled:
    """A source with the log odds of the wordings of `toxicity`."""
    rules = np.array([toxic_log_odds(row[source.reads]) for row in library.chosen(source)])
    return replace(library.labelled(source), said={"rules": rules})


def hazard(library: Library) -> Heads:
    """Of which hazard of AILuminate a prompt is: one head a hazard, against the others and ordinary prompts."""
    slugs = sorted({row["labels"]["hazard"] for row in library.rows("ailuminate_demo")})
    ordinary = [library.labelled(source, closing=False, width=NARROW) for source in ORDINARY]
    by_label = {}
    for slug in slugs:
        source = Source("ailuminate_demo", flag("hazard", slug), "prompt")
        by_label[slug] = fit_head([*folds(library.labelled(source, closing=False, width=NARROW), 4), *ordinary])
    sources = (Source("ailuminate_demo", always, "prompt"), *ORDINARY)
    every = library.labelled(sources[0], closing=False, width=NARROW)
    return heads_of("hazard", by_label, sources, [every, *ordinary])


def not_of_death(row: Row) -> bool | None:
    """False of a prompt that names neither suicide nor oneself; else None: nobody labelled it."""
    return None if "suicid" in row["prompt"].lower() or "myself" in row["prompt"].lower() else False


SELF_HARM: Final = (
    Source("ailuminate_demo", flag("hazard", "ssh"), "prompt"),
    Source("simple_safety_tests", flag("area", "Suicide, Self-Harm, and Eating Disorders"), "prompt"),
    *ORDINARY,
    Source("xstest", not_of_death, "prompt"),
)


def self_harm(library: Library) -> Heads:
    """Words and window of the prompt: scarce data, two sets, and veiled words that were written for Keelwatch."""
    groups = [*(library.labelled(source, closing=False) for source in SELF_HARM), *written_distress(library)]
    return heads_of("self_harm", {"self_harm": fit_distress(groups)}, SELF_HARM, groups, fit_distress)


def written_distress(library: Library) -> list[Labelled]:
    """Messages about self-harm and beside it, and questions of every day."""
    written = distress_prompts()
    made = _made(library, "distress", [*written["about"], *written["beside"]])
    labels = np.repeat([True, False], [len(written["about"]), len(written["beside"])])
    return [replace(made, labels=labels), plain_prompts(library)]


def fit_distress(groups: Sequence[Labelled]) -> LinearHead:
    """A head that is true from where 1% of prompts that its parts had not seen and that are not about it would be."""
    return fit_cut(groups, {WORDS: 3.0, WINDOWS: 3.0}, {}, 0.01)


def folds(of: Labelled, parts: int) -> list[Labelled]:
    """A source cut into parts, always the same, each with its share of what is true."""
    order = np.random.default_rng(0).permutation(len(of))
    order = order[np.argsort(of.labels[order], kind="stable")]
    return [of.rows(np.sort(order[at::parts])) for at in range(parts)]


def heads_of(
    signal: str,
    by_label: Mapping[str, LinearHead],
    sources: Sequence[Source],
    groups: Sequence[Labelled],
    fit: Callable[[Sequence[Labelled]], LinearHead] = fit_head,
) -> Heads:
    """Heads with the facts of their fit."""
    facts: dict[str, Any] = {
        "command": COMMAND,
        "sets": {
            source.set: {"licence": LICENCES[source.set], "rows": len(group), "true": int(group.labels.sum())}
            for source, group in zip(sources, groups, strict=False)
        },
        "left_out": left_out(groups, fit),
    }
    return Heads(signal, dict(by_label), facts)


def left_out(groups: Sequence[Labelled], fit: Callable[[Sequence[Labelled]], LinearHead]) -> dict[str, float]:
    """AUROC of each source that has both kinds, by a head fitted without it, where others have both kinds too."""
    found: dict[str, float] = {}
    for at, group in enumerate(groups):
        others = [one for n, one in enumerate(groups) if n != at]
        if group.labels.any() and not group.labels.all() and any(one.labels.any() for one in others):
            scores: Numbers = log_odds(fit(others), group)
            found[group.name] = round(auroc(scores, group.labels), 3)
    return found


RECIPES: Final[Mapping[str, Callable[[Library], Heads]]] = {
    "refusal": refusal,
    "harmful_request": harmful_request,
    "harmful_compliance": harmful_compliance,
    "evasion": evasion,
    "jailbreak_attempt": jailbreak_attempt,
    "toxicity": toxicity,
    "self_harm": self_harm,
    "hazard": hazard,
}


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files of heads")
    parser.add_argument("--cache", type=Path, help="file that keeps embeddings")
    parser.add_argument("--only", choices=RECIPES, nargs="*", help="fit these alone")
    told = parser.parse_args()
    library = Library(told.data, told.cache)
    for name in told.only or RECIPES:
        with threadpool_limits(1):  # sums of several threads differ by their order, and so would the bytes
            data = dump_heads(RECIPES[name](library))
        (told.out / f"{name}.json").write_bytes(data)
        print(f"{name}: {len(data):,} bytes", flush=True)


if __name__ == "__main__":
    main()
