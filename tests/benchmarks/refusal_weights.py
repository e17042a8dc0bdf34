"""Where the weights of `refusal` come from: python -m tests.benchmarks.refusal_weights.

Fits a logistic regression over the rules on sets whose licence allows it, prints its weights beside those in use
(which were rounded from such a fit by hand), and the accuracy on each labelled set when it was left out of the fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from services.signals import refusal_rules
from services.signals.answer_text import spoken_answer
from services.signals.refusal_rules import BIAS, CODE, HELP_FOLLOWS, LISTED, OBJECTS, RULES
from tests.benchmarks.signals import LABELS, Row, rows_of

LABELLED = ("xstest", "llmdrift_sensitiveq", "refusal_direction")
ORDINARY = "arena_hard"
DOUBTFUL = {"declines", "lacks"}
"""Rows of the unlabelled set with these wordings are left out, the others taken for answers."""

WEIGHTS = {
    **{rule.name: rule.weight for rule in RULES},
    **{f"{rule.name}, early": rule.early for rule in RULES if rule.early},
    "listed": LISTED,
    "code": CODE,
    "help follows": HELP_FOLLOWS,
}


def features(row: Row) -> dict[str, float]:
    """Which wordings the signal finds in an answer."""
    spoken = refusal_rules.visible(spoken_answer(row["response"]) or "")
    opening = refusal_rules.opening_of(spoken)
    found = refusal_rules.OPENING_RULES.found(opening)
    early = refusal_rules.OPENING_RULES.found(opening[: refusal_rules.EARLY])
    names = set(found) | {f"{name}, early" for name in early}
    names |= refusal_rules.BODY_RULES.found(spoken)
    if "turns" in found and not found & OBJECTS:
        names.add("help follows")
    return {name: float(name in names) for name in WEIGHTS}


def dataset(name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n, rules) features and (n,) labels of a set."""
    rows = rows_of(name)
    found = [features(row) for row in rows]
    kept = [at for at, one in enumerate(found) if name != ORDINARY or not any(one[rule] for rule in DOUBTFUL)]
    labels = [name != ORDINARY and LABELS[name](rows[at]) for at in kept]
    return np.array([list(found[at].values()) for at in kept]), np.array(labels)


def main() -> None:
    """Print the fit and the left-out accuracies."""
    data = {name: dataset(name) for name in (*LABELLED, ORDINARY)}
    print("rows:", {name: len(labels) for name, (_, labels) in data.items()})
    for left_out in (None, *LABELLED):
        used = [data[name] for name in data if name != left_out]
        model = LogisticRegression(C=0.5, max_iter=3000)
        model.fit(np.vstack([x for x, _ in used]), np.concatenate([y for _, y in used]))
        if left_out is None:
            print(f"bias: fitted {model.intercept_[0]:.1f} in use {BIAS}")
            for name, weight in zip(WEIGHTS, model.coef_[0], strict=True):
                print(f"{name}: fitted {weight:.1f} in use {WEIGHTS[name]}")
            continue
        x, y = data[left_out]
        print(f"accuracy on {left_out} when it is left out: {(model.predict(x) == y).mean():.3f}")


if __name__ == "__main__":
    main()
