"""Did the users change? The prompts of a route against the baseline's prompts, by betting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from detectors.protocol import Baseline, Finding, Float, Rows, Scope, Stream
from detectors.stats import bets, drift_state
from detectors.stats.bets import Single
from detectors.stats.drift import DriftPass
from detectors.stats.linear_algebra import components, row_products
from detectors.stats.repeated_prompts import group_rows
from schemas.spec import Spec

EFFECT = "prompt shift"
TOO_FEW = "too few different prompts in the baseline"
LEAST_UNIQUE = 20


@dataclass(frozen=True, slots=True)
class PromptLens:
    """Mean (384,) and axes (384, q), over the largest spread, of the baseline's prompts."""

    mean: Float
    axes: Float
    asked: Single = field(init=False, repr=False, compare=False)  # (384, q) the axes, in the precision of prompts
    middle: Float = field(init=False, repr=False, compare=False)  # (q,) the mean along them

    def __post_init__(self) -> None:
        """Work out what every batch asks for."""
        object.__setattr__(self, "asked", self.axes.astype(np.float32))
        object.__setattr__(self, "middle", self.mean @ self.axes)


@dataclass(frozen=True, slots=True)
class UserShiftArtefact:
    """The baseline's prompts as `step` needs them; `fitted` is None where they are too uniform to bet on."""

    lens: PromptLens | None
    fitted: bets.Fitted | None
    arl: float


@dataclass(frozen=True, slots=True)
class UserShift:
    """Embedding of prompts, whoever answers them, in sd of the baseline.

    Prompts unlike any of the baseline's count: new topics are users that changed. The slack is wider than that of
    model_shift: users always move a little, and nobody is paged for it. Limit: with about a hundred prompts that are
    asked again and again a narrowing is found late or, of two large topics, not at all.

    Attributes:
        axes: principal directions of the prompt; prior: prior variance of a shift as a share of their variance.
    """

    spec: ClassVar[Spec] = Spec(
        name="user_shift",
        kind="shift",
        title="What users ask",
        noun="what users ask",
        says="the prompts",
        does="is asked different questions",
        sign="users ask differently",
        unit="sd",
        severity="info",
        blames="users",
    )
    scope: ClassVar[Scope] = "route"
    learns: ClassVar[bool] = True
    artefact_type: ClassVar[type[UserShiftArtefact]] = UserShiftArtefact
    state_type: ClassVar[type[drift_state.DriftState]] = drift_state.DriftState

    axes: int = 32
    prior: float = 0.05
    recipe: bets.Recipe = field(default_factory=lambda: bets.Recipe(slack=2.0))
    evidence: drift_state.EvidenceSettings = field(default_factory=drift_state.EvidenceSettings)

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """One: all prompts of the route."""
        return (Stream(),)

    def fit(self, baseline: Baseline) -> UserShiftArtefact:
        """Axes and cross-fitted bets of the baseline's embedded prompts."""
        prompt = baseline.rows.prompt[baseline.rows.embedded]
        groups = group_rows(prompt)
        if not len(groups) or groups.max() + 1 < LEAST_UNIQUE:
            return UserShiftArtefact(None, None, baseline.arl)
        mean, axes, spread = components(prompt.astype(np.float64), self.axes)
        lens = PromptLens(mean, axes / spread.max())
        # In double precision: directions of equal prior variance turn with the last digits.
        target = row_products(prompt.astype(np.float64) - mean, lens.axes)
        design, cluster = np.ones((len(target), 1)), np.zeros(len(target), dtype=np.int64)
        share, least = np.full(target.shape[1], self.prior), 0.01 * np.full(target.shape[1], target.var(axis=0).max())
        sample = bets.BaselineSample(design, target, groups, cluster, 1, share, least)
        return UserShiftArtefact(lens, bets.fit(sample, self.recipe), baseline.arl)

    def start(self, artefact: UserShiftArtefact) -> drift_state.DriftState:
        """The state of zero evidence."""
        return drift_state.start(artefact.fitted, self.evidence)

    def step(
        self, artefact: UserShiftArtefact, state: drift_state.DriftState, rows: Rows
    ) -> tuple[drift_state.DriftState, tuple[Finding, ...]]:
        """Bet against "the prompts are as before" on each row that is embedded."""
        row = rows.embedded.nonzero()[0]
        if artefact.lens is None or artefact.fitted is None:
            return drift_state.blinded(state, row, TOO_FEW)
        target = _coordinates(artefact.lens, rows.wide_prompts())[row]
        none, every = np.zeros(len(row), dtype=np.int64), np.ones(len(row), dtype=np.bool_)
        ids = tuple([rows.ids[i] for i in row.tolist()])
        stream_rows = drift_state.DriftRows(
            row=row,
            ids=ids,
            design=np.ones((len(row), 1)),
            target=target,
            cluster=none,
            novel=~every,
            used=every,
            index=rows.index[row],
            ts=rows.ts[row],
            moves=np.zeros((len(row), 0)),
            rest=target - artefact.fitted.weights[-1][0],
        )
        plan = drift_state.DriftPlan(artefact.fitted, self.recipe, self.evidence, artefact.arl, EFFECT, TOO_FEW)
        return DriftPass(plan, state).run(stream_rows)


def _coordinates(lens: PromptLens, prompt: Single) -> Float:
    """(n, q): the prompts along the axes."""
    return row_products(prompt, lens.asked) - lens.middle
