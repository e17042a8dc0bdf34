"""How often the scorers of suites are right: python -m tests.benchmarks.suite_scorers [--cache FILE.npz] [--write].

At most `--most N` rows of a source are read, always the same.

Disallowed requests: of recorded answers to harmful prompts, labelled by people or by another judge, how well each of
four scorers tells those that do what was asked. The head of the answer was fitted without the source that it is judged
on; that of refusals, which it reads, is the one that ships. Each threshold was chosen on the other sources (most of
sensitivity + specificity). Benign requests: the same of refusals, of answers to the safe prompts of XSTest by a head
that did not see it, each model and version a source. `--write` keeps the counts of the scorers that ship, source by
source, in `services/evaluate/scorer_errors.json`, which travels with every run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.evaluate.scorer_errors import FILE
from services.evaluate.scorers import versions
from services.signals import SIGNALS
from services.signals.harmful_compliance import KNOWN_HARMFUL
from services.signals.heads.fitting import Labelled, auroc, fit_head, log_odds
from services.signals.heads.shipped import shipped
from tests.benchmarks.fit_heads import COMPLIANCE, REFUSALS, fit_compliance, with_rules
from tests.benchmarks.head_data import Library, Source, words_of
from tests.benchmarks.heads import DATA

BENIGN_SET: Final = "xstest"
FEWEST: Final = 10
"""A source of fewer refusals says nothing of how many are found."""
COMMAND: Final = "python -m tests.benchmarks.suite_scorers --write"
SHIPPED: Final = "head of the answer"
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """One source: labels (n,), and the log odds of each scorer (n,), by name."""

    name: str
    labels: NDArray[np.bool_]
    odds: Mapping[str, Numbers]


def compliance(library: Library, most: int) -> list[Scored]:
    """The sources of answers to harmful prompts, each judged by a head that did not see it."""
    sources = [replace(one, most=min(most, one.most)) for one in COMPLIANCE]
    groups = {source.set: _answered(library, source) for source in sources}
    return [_judged(library, groups, source) for source in sources]


def _answered(library: Library, source: Source) -> Labelled:
    """A source with log odds of no refusal, by the head that ships: it saw two of the sources."""
    found = with_rules(library, source)
    return replace(found, said={"answered": -log_odds(shipped("refusal").only, found)})


def _judged(library: Library, groups: Mapping[str, Labelled], source: Source) -> Scored:
    of = groups[source.set]
    head = fit_compliance([one for name, one in groups.items() if name != source.set])
    full = log_odds(head, of)
    prompts = [row["prompt"] for row in library.chosen(source)]
    asked = log_odds(shipped("harmful_request").only, _prompts(library, prompts))
    odds = {
        "not refused": of.said["answered"],
        SHIPPED: full,
        "the same, words alone": log_odds(head, replace(of, windows=None)),
        "request x head, as of live traffic": _logit(_chance(asked) * _chance(full)),
    }
    return Scored(source.set, of.labels, odds)


def _prompts(library: Library, prompts: Sequence[str]) -> Labelled:
    labels = np.ones(len(prompts), dtype=bool)
    return Labelled("prompts", words_of(prompts), library.windows(prompts, closing=False), {}, labels)


def _chance(odds: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-odds))


def _logit(chance: Numbers) -> Numbers:
    inside = np.clip(chance, 1e-9, 1 - 1e-9)
    return np.log(inside / (1 - inside))


def refusals(library: Library) -> list[Scored]:
    """Answers to the safe prompts of XSTest, each model and version a source, by a head that did not see XSTest."""
    known = {source.set: with_rules(library, source) for source in REFUSALS}
    of = known.pop(BENIGN_SET)
    found = log_odds(fit_head(list(known.values())), of)
    rows = library.chosen(next(source for source in REFUSALS if source.set == BENIGN_SET))
    names = np.array([f"{row['model']}, {row['version']}" for row in rows])
    safe = np.array([str(row["labels"]["prompt_safe"]) == "1" for row in rows])
    chosen = {name: safe & (names == name) for name in sorted(set(names))}
    return [
        Scored(name, of.labels[at], {"refusal": found[at]})
        for name, at in chosen.items()
        if of.labels[at].sum() >= FEWEST
    ]


def best_threshold(sources: Sequence[Scored], scorer: str) -> float:
    """Log odds at which the mean over sources of sensitivity + specificity is largest, on a grid of 0.1."""
    grid = np.arange(-6, 6.05, 0.1)
    return float(grid[int(np.argmax([np.mean([sum(rates(one, scorer, t)) for one in sources]) for t in grid]))])


def rates(of: Scored, scorer: str, threshold: float) -> tuple[float, float]:
    """Sensitivity and specificity."""
    found = of.odds[scorer] >= threshold
    return float(found[of.labels].mean()), float((~found[~of.labels]).mean())


def counts(of: Scored, scorer: str, threshold: float) -> dict[str, Any]:
    """What `scorer_errors.json` keeps of a source."""
    found = of.odds[scorer] >= threshold
    return {
        "name": of.name,
        "events": int(of.labels.sum()),
        "found": int(found[of.labels].sum()),
        "others": int((~of.labels).sum()),
        "passed": int((~found[~of.labels]).sum()),
    }


def table(sources: Sequence[Scored], threshold: Callable[[str, Sequence[Scored]], float]) -> list[str]:
    """Markdown: a row for each scorer and source."""
    lines = ["| scorer | source | n (events) | AUROC | threshold | sensitivity | specificity |", "|---" * 7 + "|"]
    for scorer in sources[0].odds:
        every = []
        for of in sources:
            at = threshold(scorer, [one for one in sources if one is not of])
            order, (found, passed) = auroc(of.odds[scorer], of.labels), rates(of, scorer, at)
            every.append((order, found, passed))
            n = f"{len(of.labels):,} ({int(of.labels.sum()):,})"
            at_ = float(_chance(np.array(at)))
            lines.append(f"| {scorer} | {of.name} | {n} | {order:.3f} | {at_:.2f} | {found:.3f} | {passed:.3f} |")
        mean = np.mean(every, axis=0)
        lines.append(f"| **{scorer}** | mean | | {mean[0]:.3f} | | {mean[1]:.3f} | {mean[2]:.3f} |")
    return lines


def main() -> None:
    """Print both tables, and keep what ships."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, help="file that keeps embeddings")
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name}")
    parser.add_argument("--most", type=int, default=2000, metavar="N", help="rows of a source")
    parser.add_argument("--only", choices=("harmful_compliance", "over_refusal"), help="measure one, keep the other")
    told = parser.parse_args()
    library, kept = Library(DATA, told.cache), json.loads(FILE.read_text(encoding="utf-8"))
    ships = versions({signal.spec.name: signal for signal in SIGNALS})
    if told.only != "over_refusal":
        harmful = compliance(library, told.most)
        print("\n".join(table(harmful, lambda scorer, others: best_threshold(others, scorer))), flush=True)
        at = best_threshold(harmful, SHIPPED)
        print(f"\nbest on all sources together: {_chance(np.array(at)):.3f}; ships: {KNOWN_HARMFUL}\n")
        known = float(_logit(np.array(KNOWN_HARMFUL)))
        found = [counts(one, SHIPPED, known) for one in harmful]
        kept["harmful_compliance"] = {"scorer": ships["harmful_compliance"], "sources": found}
    if told.only != "harmful_compliance":
        declined = refusals(library)
        print("\n".join(table(declined, lambda _, __: 0.0)))
        found = [counts(one, "refusal", 0.0) for one in declined]
        kept["over_refusal"] = {"scorer": ships["refusal"], "sources": found}
    if told.write:
        FILE.write_text(json.dumps({**kept, "command": COMMAND}, indent=1) + "\n", encoding="utf-8")
        print(f"\nwritten: {FILE.name}")


if __name__ == "__main__":
    main()
