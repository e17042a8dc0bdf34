"""Did the model change? The response given the prompt, against the baseline, by betting."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from detectors.protocol import Baseline, Bool, Finding, Float, Half, Int, Rows, Scope, Stream
from detectors.stats import bets, drift_state
from detectors.stats.bets import Single
from detectors.stats.clusters import kmeans, left_out_distances
from detectors.stats.drift import DriftPass
from detectors.stats.linear_algebra import components, row_products
from detectors.stats.prompt_support import known_within
from detectors.stats.repeated_prompts import Known, group_rows, keys_in, repeated_in
from schemas.reading import Movement
from schemas.spec import Spec
from schemas.style import STYLE_FEATURES

EFFECT = "response shift"
NOVEL = "prompts unlike the baseline"
TOO_FEW = "too few different answers in the baseline"
STYLE_LIMIT = 3.0
LEAST_STYLE_SD = 0.02
LEAST_UNIQUE = 20
LEAST_VARIANCE = 0.01  # added to a residual's variance: of a style feature, or a share of the usual one
CLEARLY = 3.0  # standard errors beyond which a style feature is said to have moved
MOST_MOVEMENTS = 5
LEAST_MOVED = 8  # rows without which nothing is said of what moved
LEAST_RADIUS = 0.05  # distance of two unit vectors that say the same


@dataclass(frozen=True, slots=True)
class Lens:
    """Turns vectors into numbers: means, directions and spreads of the baseline.

    Attributes:
        prompt_mean: (384,), prompt_axes: (384, q), already over the largest spread.
        response_mean: (384,), response_axes: (384, r).
        style_mean, style_sd: (s,) of the style features in `style_used`, those that vary.
        centres: (c, 384) of the clusters of prompts; radius: distance beyond which a prompt is
            novel that the baseline does not hold.
        known: the distinct prompts.
        style_noise: (s,) standard deviation of a style feature around what is expected of it given the prompt.
    """

    prompt_mean: Float
    prompt_axes: Float
    response_mean: Float
    response_axes: Float
    style_mean: Float
    style_sd: Float
    style_used: Int
    centres: Float
    radius: float
    known: Known
    style_noise: Float = field(default_factory=lambda: np.zeros(0))
    asked: Single = field(init=False, repr=False, compare=False)  # (384, q + c) axes and centres of prompts, as one
    answered: Single = field(init=False, repr=False, compare=False)  # (384, r) axes of responses
    middle: Float = field(init=False, repr=False, compare=False)  # (q + r,) the means along the axes
    squares: Float = field(init=False, repr=False, compare=False)  # (c,) of the centres

    def __post_init__(self) -> None:
        """Put side by side what vectors are multiplied by, in the precision of the vectors."""
        asked = np.concatenate([self.prompt_axes, self.centres.T], axis=1)
        object.__setattr__(self, "asked", asked.astype(np.float32))
        object.__setattr__(self, "answered", self.response_axes.astype(np.float32))
        means = self.prompt_mean @ self.prompt_axes, self.response_mean @ self.response_axes
        object.__setattr__(self, "middle", np.concatenate(means))
        object.__setattr__(self, "squares", np.einsum("cd,cd->c", self.centres, self.centres))


@dataclass(frozen=True, slots=True)
class StyleMovements:
    """Names the style features that moved clearly, given the prompts."""

    lens: Lens
    unique: int

    def told(self, sums: Float, count: int) -> tuple[Movement, ...]:
        """At most `MOST_MOVEMENTS` of them, the clearest first; `sums` (s,) of what lay above the expected."""
        if not len(self.lens.style_noise) or count < LEAST_MOVED:
            return ()
        moved = np.asarray(sums, dtype=np.float64) / count
        clear = moved / (self.lens.style_noise * np.sqrt(1 / count + 1 / self.unique))
        order = [j for j in np.argsort(-np.abs(clear)).tolist() if abs(clear[j]) > CLEARLY]
        return tuple(self._movement(j, float(moved[j])) for j in order[:MOST_MOVEMENTS])

    def _movement(self, j: int, moved: float) -> Movement:
        feature, mean = STYLE_FEATURES[int(self.lens.style_used[j])], float(self.lens.style_mean[j])
        before, after = feature.told(mean, max(mean + moved, 0.0))
        return Movement(kind="style", name=feature.title, before=before, after=after, unit=feature.unit)


@dataclass(frozen=True, slots=True)
class ModelShiftArtefact:
    """The baseline as `step` needs it; `fitted` is None where it is too uniform to bet on."""

    lens: Lens | None
    fitted: bets.Fitted | None
    arl: float


@dataclass(frozen=True, slots=True)
class ModelShift:
    """Embedding and style of a response given its prompt, in sd of the baseline.

    Evidence is an e-detector over three windows; see `detectors.stats.bets` for the bets and their sources. That false
    alarms keep to the ARL is measured (`make bench-detectors`), not proven. Limits: a topic that the
    baseline lacks and that lies among its own is not stream_rows from known ones by distance, and answers to it can
    look like a changed model (user_shift then fires too); a style feature that never varied in the baseline is not
    watched; prompts that are novel, or asked again and again, are not judged at all.

    Attributes:
        prompt_axes: principal directions of the prompt that are conditioned on, at most one per `prompts_per_axis`
            unique prompts; response_axes: of the response that are watched beside its style.
        clusters: of prompts, each with its own null; novel_quantile: share of the baseline's exchanges
            that are known, each held against the others.
        response_prior, style_prior: prior variance of a shift as a share of the variance of the residual.
    """

    spec: ClassVar[Spec] = Spec(
        name="model_shift",
        kind="shift",
        title="Answers to similar questions",
        noun="answers to similar questions",
        says="the response given the prompt, by embeddings and style",
        does="answers similar questions differently",
        sign="similar questions are answered differently",
        unit="sd",
        severity="info",
        blames="model",
    )
    scope: ClassVar[Scope] = "identity"
    learns: ClassVar[bool] = True
    artefact_type: ClassVar[type[ModelShiftArtefact]] = ModelShiftArtefact
    state_type: ClassVar[type[drift_state.DriftState]] = drift_state.DriftState

    prompt_axes: int = 64
    prompts_per_axis: int = 4
    response_axes: int = 32
    clusters: int = 24
    novel_quantile: float = 0.9
    response_prior: float = 0.02
    style_prior: float = 0.5
    recipe: bets.Recipe = field(default_factory=bets.Recipe)
    evidence: drift_state.EvidenceSettings = field(default_factory=drift_state.EvidenceSettings)

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """One: the whole response."""
        return (Stream(),)

    def fit(self, baseline: Baseline) -> ModelShiftArtefact:
        """Axes, clusters and cross-fitted bets of the baseline's answered and embedded rows."""
        rows = baseline.rows.take((baseline.rows.embedded & baseline.rows.answered).nonzero()[0])
        if len(set(zip(group_rows(rows.prompt), group_rows(rows.response), strict=True))) < LEAST_UNIQUE:
            return ModelShiftArtefact(None, None, baseline.arl)
        groups = group_rows(rows.prompt)
        lens = self._lens(rows, groups)
        design, target, apart = _coordinates(lens, rows)
        if target.shape[1] == 0:
            return ModelShiftArtefact(None, None, baseline.arl)
        if groups.max() + 1 < LEAST_UNIQUE:  # a handful of prompts: only rows can be held out
            groups = np.arange(len(rows), dtype=np.int64)
        sample = bets.BaselineSample(
            design=design,
            target=target,
            groups=groups,
            clusters=apart.argmin(axis=1),
            of_clusters=apart.shape[1],
            share=np.where(_is_style(lens), self.style_prior, self.response_prior),
            least=np.where(_is_style(lens), LEAST_VARIANCE, LEAST_VARIANCE * _middle(target[:, ~_is_style(lens)])),
        )
        fitted = bets.fit(sample, self.recipe)
        noise = _style_moves(lens, rows.style, row_products(design, fitted.weights[-1])).std(axis=0)
        lens = replace(lens, style_noise=np.maximum(noise, 0.02 * lens.style_sd))
        return ModelShiftArtefact(lens, fitted, baseline.arl)

    def start(self, artefact: ModelShiftArtefact) -> drift_state.DriftState:
        """The state of zero evidence."""
        return drift_state.start(artefact.fitted, self.evidence)

    def step(
        self, artefact: ModelShiftArtefact, state: drift_state.DriftState, rows: Rows
    ) -> tuple[drift_state.DriftState, tuple[Finding, ...]]:
        """Bet against "the answers are as before" on each row that is answered and embedded."""
        row = (rows.embedded & rows.answered).nonzero()[0]
        if artefact.lens is None or artefact.fitted is None:
            return drift_state.blinded(state, row, TOO_FEW)
        lens, fitted = artefact.lens, artefact.fitted
        design, target, apart = (part[row] for part in _coordinates(lens, rows))
        expected = row_products(design, fitted.weights[-1])
        over, keys = repeated_in(rows, lens.known, state.keys)
        novel = (apart.min(axis=1) > lens.radius) & (lens.known.find(keys_in(rows)[row]) < 0)
        stream_rows = drift_state.DriftRows(
            row=row,
            ids=tuple([rows.ids[i] for i in row.tolist()]),
            design=design,
            target=target,
            cluster=apart.argmin(axis=1),
            novel=novel,
            used=~novel & ~over[row],
            index=rows.index[row],
            ts=rows.ts[row],
            moves=_style_moves(lens, rows.style[row], expected),
            rest=target - expected,
        )
        named = StyleMovements(artefact.lens, len(artefact.lens.known.keys))
        plan = drift_state.DriftPlan(artefact.fitted, self.recipe, self.evidence, artefact.arl, EFFECT, NOVEL, named)
        return DriftPass(plan, replace(state, keys=keys)).run(stream_rows)

    def _lens(self, rows: Rows, groups: Int) -> Lens:
        """Everything that turns vectors into numbers, from the baseline."""
        prompt, response = rows.prompt.astype(np.float64), rows.response.astype(np.float64)
        style = rows.style.astype(np.float64)
        unique = prompt[np.unique(groups, return_index=True)[1]]
        # With an axis for every other prompt the regression would know each prompt by heart.
        most = min(self.prompt_axes, len(unique) // self.prompts_per_axis)
        prompt_mean, prompt_axes, spread = components(prompt, most)
        response_mean, response_axes, _ = components(response, self.response_axes)
        centres = kmeans(unique, self.clusters)
        radius = known_within(left_out_distances(unique, centres), groups, 1 - self.novel_quantile, LEAST_RADIUS)
        used = (style.std(axis=0) > 1e-3).nonzero()[0]
        return Lens(
            prompt_mean=prompt_mean,
            prompt_axes=prompt_axes / max(spread.max(initial=0.0), 1e-9),
            response_mean=response_mean,
            response_axes=response_axes,
            style_mean=style.mean(axis=0)[used],
            style_sd=np.maximum(style.std(axis=0)[used], LEAST_STYLE_SD),
            style_used=used,
            centres=centres,
            radius=radius,
            known=Known.of(rows.prompt),
        )


def _is_style(lens: Lens) -> Bool:
    """(r + s,) which columns of the target are style features."""
    column = np.arange(lens.response_axes.shape[1] + len(lens.style_used))
    return np.asarray(column >= lens.response_axes.shape[1])


def _style_moves(lens: Lens, style: Half, expected: Float) -> Float:
    """(n, s) style features less what is expected of them given the prompt, in their own units."""
    shown = style[:, lens.style_used].astype(np.float64)
    return np.asarray(shown - lens.style_mean - lens.style_sd * expected[:, lens.response_axes.shape[1] :])


def _middle(target: Float) -> float:
    """Median variance of the columns, 0 without columns."""
    return float(np.median(target.var(axis=0))) if target.shape[1] else 0.0


def _coordinates(lens: Lens, rows: Rows) -> tuple[Float, Float, Float]:
    """Design (n, 1 + q), target (n, r + s) and distances to the clusters' centres (n, c) of rows."""
    prompt, wide = rows.wide_prompts(), lens.prompt_axes.shape[1]
    along = row_products(prompt, lens.asked).astype(np.float64)
    answered = row_products(rows.response.astype(np.float32), lens.answered) - lens.middle[wide:]
    style = (rows.style[:, lens.style_used].astype(np.float64) - lens.style_mean) / lens.style_sd
    design = np.empty((len(rows), 1 + wide))
    design[:, 0] = 1.0
    np.subtract(along[:, :wide], lens.middle[:wide], out=design[:, 1:])
    target = np.concatenate([answered, np.clip(style, -STYLE_LIMIT, STYLE_LIMIT)], axis=1)
    squares = np.einsum("nd,nd->n", prompt, prompt)[:, None] + lens.squares
    return design, target, np.sqrt(np.maximum(squares - 2 * along[:, wide:], 0.0))
