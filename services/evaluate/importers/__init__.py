"""Runs that other tools made, read as runs of Keelwatch's own.

One file for each tool, told apart by what its files hold. A newcomer is such a file and an entry in `IMPORTERS`.
"""

from __future__ import annotations

from typing import Final

from services.errors import InputError
from services.evaluate.importers import (
    garak_report,
    helm_run,
    inspect_log,
    lm_eval_samples,
    promptfoo_results,
    pyrit_memory,
)
from services.evaluate.importers.assembling import ImportedRun, ImportOrder, assembled
from services.evaluate.importers.foreign import REMEDY, Content, ForeignRun, Importer

IMPORTERS: Final[tuple[Importer, ...]] = (
    inspect_log.IMPORTER,
    garak_report.IMPORTER,
    promptfoo_results.IMPORTER,
    lm_eval_samples.IMPORTER,
    helm_run.IMPORTER,
    pyrit_memory.IMPORTER,
)


def imported(
    content: Content, order: ImportOrder, scorer: str | None = None, model: str | None = None
) -> tuple[ImportedRun, ...]:
    """The runs of a file or folder; `model` is the one whose answers count, where there are several.

    Raises:
        InputError: if no tool is known to write such a file, or something in it is wrong.
    """
    known = next((one for one in IMPORTERS if one.recognises(content)), None)
    if known is None:
        told = "; ".join(f"{one.tool}: {one.file}" for one in IMPORTERS)
        raise InputError(f"{content.name}: written by no tool that is known here; known are {told}")
    try:
        return tuple(assembled(one, content, order) for one in _of_model(known.read(content, scorer), content, model))
    except RecursionError:
        raise InputError(f"{content.name}: nested too deep; {REMEDY}") from None


def _of_model(runs: tuple[ForeignRun, ...], content: Content, model: str | None) -> tuple[ForeignRun, ...]:
    """The runs of the one model that was named, or that there is."""
    models = list(dict.fromkeys(one.model for one in runs))
    if model is not None or len(models) > 1:
        if model not in models:
            told = ", ".join(name[:80] for name in models[:10])
            raise InputError(f"{content.name}: answers of {len(models)} models; name one with --model: {told}")
        return tuple(one for one in runs if one.model == model)
    return runs
