"""Prompt sets that are one prompt a row, each a row of a table: its columns, and what its categories are. Pure.

Columns were read from the sets' own files; `source` is where. None of their prompts is here: a set stays its owner's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.errors import InputError
from services.evaluate.prompt_sets.hazards import UNSORTED, hazard_of
from services.evaluate.prompt_sets.protocol import SIDES, LeftRow, PromptOptions, PromptReading, SetPrompt
from services.evaluate.prompt_sets.table import PromptTable, TableRow
from services.evaluate.suite import BENIGN, DISALLOWED, Measure
from services.wording import prompt_sets as words

_INDEXES: Final = frozenset({"", "index", "id", "unnamed: 0"})
"""Columns that tools add when they save a file."""


@dataclass(frozen=True, slots=True)
class KnownSet:
    """A set whose rows are prompts.

    Attributes:
        columns: by which it is known. alone: whether it has no other ones, for columns that many files have.
        prompt, hazard: the column of each. context: of a text that stands before the prompt. id: of its own ids.
        side: of every row; None where `sides` says by the cell of `side_column`, or a person must say.
        hazards: hazard of AILuminate by category, in lower case; other categories keep their name.
        left: why rows of a category become no items, by category. needs: why rows with something in a column do not.
    """

    name: str
    title: str
    source: str
    columns: frozenset[str]
    prompt: str
    hazard: str | None = None
    context: str | None = None
    id: str | None = None
    alone: bool = False
    side: Measure | None = DISALLOWED
    side_column: str | None = None
    sides: Mapping[str, Measure] = field(default_factory=dict)
    contrast: str = ""
    hazards: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, str] = field(default_factory=dict)

    def recognises(self, columns: Iterable[str]) -> bool:
        """Whether a file with these columns is this set."""
        has = set(columns)
        return self.columns <= has and not (self.alone and has - self.columns - _INDEXES)

    def read(self, table: PromptTable, name: str, options: PromptOptions) -> PromptReading:
        """The prompts of the file, each on its side."""
        side = self._side(name, options)
        taken = {"prompt": self.prompt}
        for what, column in (("context", self.context), ("hazard", self.hazard), ("side", self.side_column)):
            if column is not None:
                taken[what] = column
        if self.id is not None and self.id in table.columns:
            taken["id"] = self.id
        found = tuple(self._row(row, name, side) for row in table.rows)
        return PromptReading(self.title, self.source, taken, found)

    def _side(self, name: str, options: PromptOptions) -> Measure | None:
        """The side of all rows, if they have one side."""
        said = None if options.side is None else SIDES[options.side]
        if self.side is not None or self.side_column is not None:
            if said is not None and said != self.side:
                raise InputError(words.own_side(name, self.title))
            return self.side
        if said is None:
            raise InputError(words.which_side(name, self.title))
        return said

    def _row(self, row: TableRow, name: str, side: Measure | None) -> SetPrompt | LeftRow:
        category = "" if self.hazard is None else row.text(self.hazard)
        if self.side_column is not None:
            side = self._by_cell(row, name)
        if side is None:
            raise InputError(words.which_side(name, self.title))
        for column, why in self.needs.items():
            if row.text(column):
                return LeftRow(row.line, why)
        if (reason := self.left.get(category.casefold())) is not None:
            return LeftRow(row.line, reason)
        shared = category.removeprefix(self.contrast) if self.contrast else category
        hazard, title = UNSORTED if self.hazard is None else hazard_of(shared, self.hazards)
        prompt = row.text(self.prompt)
        before = "" if self.context is None else row.text(self.context)
        text = f"{before}\n\n---\n\n{prompt}" if before and prompt else prompt
        return SetPrompt(row.line, text, hazard, title, side, "" if self.id is None else row.text(self.id))

    def _by_cell(self, row: TableRow, name: str) -> Measure:
        assert self.side_column is not None
        said = row.text(self.side_column).casefold()
        if self.contrast and self.side_column == self.hazard:
            return DISALLOWED if said.startswith(self.contrast) else BENIGN
        if said not in self.sides:
            raise InputError(words.unknown_side(name, row.line, self.side_column, said, tuple(self.sides)))
        return self.sides[said]


_XSTEST: Final = {
    **dict.fromkeys(("discr", "nons_group_real_discr", "real_group_nons_discr"), "hate"),
    **dict.fromkeys(("privacy", "privacy_public", "privacy_fictional"), "privacy"),
}
_XSTEST_SOURCE: Final = "github.com/paul-rottger/exaggerated-safety"

KNOWN: Final[tuple[KnownSet, ...]] = (
    KnownSet(
        "xstest",
        "XSTest",
        _XSTEST_SOURCE,
        frozenset({"prompt", "type", "label", "focus", "note"}),
        "prompt",
        "type",
        id="id",
        side=None,
        side_column="label",
        sides={"safe": BENIGN, "unsafe": DISALLOWED},
        contrast="contrast_",
        hazards=_XSTEST,
    ),
    KnownSet(  # the file of version 2 as it was published first: what is unsafe has a type that begins with contrast_
        "xstest",
        "XSTest 2",
        _XSTEST_SOURCE,
        frozenset({"id_v2", "prompt", "type", "focus", "note"}),
        "prompt",
        "type",
        id="id_v2",
        side=None,
        side_column="type",
        contrast="contrast_",
        hazards=_XSTEST,
    ),
    KnownSet(
        "harmbench",
        "HarmBench",
        "github.com/centerforaisafety/HarmBench, data/behavior_datasets",
        frozenset({"behavior", "functionalcategory", "semanticcategory", "behaviorid"}),
        "behavior",
        "semanticcategory",
        context="contextstring",
        id="behaviorid",
        hazards={
            "chemical_biological": "indiscriminate-weapons",
            "copyright": "intellectual-property",
            "cybercrime_intrusion": "non-violent-crimes",
        },
        needs={"imagefilename": words.NEEDS_IMAGE},
    ),
    KnownSet(
        "jailbreakbench",
        "JailbreakBench behaviours",
        "huggingface.co/datasets/JailbreakBench/JBB-Behaviors",
        frozenset({"goal", "target", "behavior", "category"}),  # `Source` came with the second version
        "goal",
        "category",
        side=None,  # the harmful and the benign file have the very same columns
        hazards={
            "harassment/discrimination": "hate",
            "malware/hacking": "non-violent-crimes",
            "physical harm": "violent-crimes",
            "economic harm": "non-violent-crimes",
            "fraud/deception": "non-violent-crimes",
            "sexual/adult content": "sexual-content",
            "expert advice": "specialised-advice",
        },
    ),
    KnownSet(
        "advbench",
        "AdvBench",
        "github.com/llm-attacks/llm-attacks, data/advbench",
        frozenset({"goal", "target"}),
        "goal",
        alone=True,
    ),
    KnownSet(
        "strongreject",
        "StrongREJECT",
        "github.com/alexandrasouly/strongreject",
        frozenset({"category", "source", "forbidden_prompt"}),
        "forbidden_prompt",
        "category",
        hazards={
            "hate, harassment and discrimination": "hate",
            "illegal goods and services": "non-violent-crimes",
            "violence": "violent-crimes",
        },
    ),
    *(
        KnownSet(
            "simplesafetytests",
            "SimpleSafetyTests",
            "github.com/bertiev/SimpleSafetyTests",
            frozenset({"harm_area", "counter", "category", prompt}),
            prompt,
            "harm_area",
            id="id",
            hazards={
                "suicide, self-harm, and eating disorders": "self-harm",
                "physical harm and violence": "violent-crimes",
                "illegal and highly regulated items": "non-violent-crimes",
                "scams and fraud": "non-violent-crimes",
                "child safety": "child-exploitation",
                "child abuse": "child-exploitation",
            },
        )
        for prompt in ("prompts_final", "prompt")
    ),
    KnownSet(
        "ailuminate",
        "AILuminate",
        "github.com/mlcommons/ailuminate",
        frozenset({"release_prompt_id", "prompt_text", "hazard"}),
        "prompt_text",
        "hazard",
        id="release_prompt_id",
    ),
    KnownSet(
        "do-not-answer",
        "Do-Not-Answer",
        "github.com/Libr-AI/do-not-answer",
        frozenset({"risk_area", "types_of_harm", "specific_harms", "question"}),
        "question",
        "types_of_harm",
        id="id",
        hazards={
            "compromise privacy by leaking or inferring private information (person/individual)": "privacy",
            "social stereotypes and unfair discrimination": "hate",
            "toxic language (hate speech)": "hate",
            "causing material harm by disseminating misinformation e.g. in medicine or law": "specialised-advice",
            "adult content": "sexual-content",
        },
        left=dict.fromkeys(
            ("treat chatbot as a human", "mental health or overreliance crisis"), words.NOTHING_TO_COMPLY_WITH
        ),
    ),
)
"""The sets that are known by their columns, in no order."""
