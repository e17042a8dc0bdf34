"""Files of prompts become suites: each set by its columns, any other by what its columns say, and nothing is guessed.

All rows here are invented; none stands in any set.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.errors import InputError
from services.evaluate.prompt_sets import PROMPT_SETS, ImportedSuite, import_prompts
from services.evaluate.prompt_sets.hazards import AILUMINATE, CODES, hazard_of
from services.evaluate.prompt_sets.known_sets import KNOWN
from services.evaluate.prompt_sets.protocol import PromptOptions
from services.evaluate.suite import BENIGN, DISALLOWED
from services.evaluate.suite_library import examine_suite, load_suite
from services.evaluate.suite_parser import parse_suite
from services.wording import prompt_sets as words

BAD, GOOD = "Tell me how to paint the town hall at night", "How do I paint a fence"


def table(columns: Sequence[str], *rows: Sequence[Any], separator: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerows([columns, *rows])
    return out.getvalue().encode()


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def read(raw: bytes, **said: Any) -> ImportedSuite:
    return import_prompts(raw, "some.csv", PromptOptions(**said))


def refusal(raw: bytes, **said: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(raw, **said)
    return str(caught.value)


SETS: dict[str, tuple[bytes, str, dict[str, str]]] = {
    "xstest": (
        table(
            ("id", "prompt", "type", "label", "focus", "note"),
            (1, GOOD, "homonyms", "safe", "paint", "art"),
            (2, BAD, "contrast_homonyms", "unsafe", "paint", ""),
            (3, f"{BAD} again", "contrast_privacy", "unsafe", "paint", ""),
        ),
        "",
        {"homonyms-1": BENIGN, "homonyms-2": DISALLOWED, "privacy-3": DISALLOWED},
    ),
    "xstest, as published first": (
        table(
            ("id_v1", "id_v2", "type", "prompt", "focus", "note"),
            ("v1-1", "v2-1", "nons_group_real_discr", GOOD, "paint", ""),
            ("", "v2-2", "contrast_discr", BAD, "paint", ""),
        ),
        "",
        {"hate-v2-1": BENIGN, "hate-v2-2": DISALLOWED},
    ),
    "harmbench": (
        table(
            ("Behavior", "FunctionalCategory", "SemanticCategory", "Tags", "ContextString", "BehaviorID"),
            (BAD, "standard", "cybercrime_intrusion", "", "", "paint_hall"),
            (GOOD, "contextual", "harmful", "context", "A wooden fence.", "paint_fence"),
        ),
        "",
        {"non-violent-crimes-paint-hall": DISALLOWED, "harmful-paint-fence": DISALLOWED},
    ),
    "jailbreakbench": (
        table(
            ("Index", "Goal", "Target", "Behavior", "Category", "Source"),
            (0, BAD, "Here is", "Paint", "Physical harm", "Original"),
            (1, f"{BAD}s", "Here is", "Paint", "Government decision-making", "Original"),
        ),
        "disallowed",
        {"violent-crimes-*": DISALLOWED, "government-decision-making-*": DISALLOWED},
    ),
    "advbench": (table(("goal", "target"), (BAD, "Sure, here is")), "", {"unsorted-*": DISALLOWED}),
    "strongreject": (
        table(("category", "source", "forbidden_prompt"), ("Violence", "custom", BAD)),
        "",
        {"violent-crimes-*": DISALLOWED},
    ),
    "simplesafetytests": (
        table(
            ("id", "harm_area", "counter", "category", "prompts_final"),
            ("sst_001", "Scams and fraud", 1, "Information and advice seeking", BAD),
        ),
        "",
        {"non-violent-crimes-sst-001": DISALLOWED},
    ),
    "ailuminate": (
        table(
            ("release_prompt_id", "prompt_text", "hazard", "persona", "locale", "prompt_hash"),
            ("airr_practice_1_0_1", BAD, "spc_hlt", "normal", "en_US", "aa"),
            ("airr_practice_1_0_2", f"{BAD}s", "iwp", "skilled", "en_US", "ab"),
        ),
        "",
        {
            "specialised-advice-airr-practice-1-0-1": DISALLOWED,
            "indiscriminate-weapons-airr-practice-1-0-2": DISALLOWED,
        },
    ),
    "do-not-answer": (
        table(
            ("id", "risk_area", "types_of_harm", "specific_harms", "question"),
            (0, "Malicious Uses", "Adult Content", "s", BAD),
            (1, "Human-Chatbot Interaction Harms", "Treat Chatbot as a Human", "s", "Do you like fences?"),
        ),
        "",
        {"sexual-content-0": DISALLOWED},
    ),
}
"""By its name: invented rows under the set's own header, the side that must be said, and the items that come of it."""


PUBLISHED: dict[str, tuple[str, tuple[str, ...]]] = {
    "xstest": (
        "paul-rottger/exaggerated-safety@475f10bf, xstest_prompts.csv",
        ("id,prompt,type,label,focus,note", "1,Q,homonyms,safe,kill,violence"),
    ),
    "xstest, version 2 as published first": (
        "paul-rottger/exaggerated-safety@a3bb396d, xstest_v2_prompts.csv",
        ("id_v1,id_v2,type,prompt,focus,note", "v1-1,v2-1,homonyms,Q,kill,violence"),
    ),
    "harmbench": (
        "busycalibrating/AdversariaLLM@eaee0d37, data/behavior_datasets/harmbench_behaviors_text_all.csv",
        ("Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID", "Q,standard,illegal,,,q_one"),
    ),
    "harmbench, multimodal": (
        "centerforaisafety/HarmBench, harmbench_behaviors_multimodal_all.csv",
        (
            "Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID,ImageFileName",
            "Q,standard,illegal,,,q_one,",
        ),
    ),
    "jailbreakbench": (
        "Baisayan/hack@2b37da1c, data/benign-behaviors.csv",
        ("index,goal,target,behavior,category,source", "0,Q,Sure,Defamation,Harassment/Discrimination,Original"),
    ),
    "jailbreakbench, first version": (
        "rahulb99/trustworthy-nlp@dfd9235b, data/harmful-behaviors.csv",
        ("Goal,Target,Behavior,Category", "Q,Sure,Defamation,Harassment/Discrimination"),
    ),
    "advbench": ("llm-attacks/llm-attacks, data/advbench/harmful_behaviors.csv", ("goal,target", "Q,Sure")),
    "strongreject": (
        "alexandrasouly/strongreject, strongreject_dataset.csv",
        ("category,source,forbidden_prompt", "Violence,custom,Q"),
    ),
    "simplesafetytests": (
        "bertiev/SimpleSafetyTests@0a31ff0c, SimpleSafetyTests - test cases.csv",
        ("id,harm_area,counter,category,prompts_final", "sst_001,Scams and fraud,1,Instructions and actions,Q"),
    ),
    "ailuminate": (
        "mlcommons/ailuminate, airr_official_1.0_demo_en_us_prompt_set_release.csv",
        ("release_prompt_id,prompt_text,hazard,persona,locale,prompt_hash", "airr_1,Q,cse,skilled,en_US,0a"),
    ),
    "do-not-answer": (
        "Libr-AI/do-not-answer, data_en.csv",
        ("id,risk_area,types_of_harm,specific_harms,question", "0,Malicious Uses,Adult Content,s,Q"),
    ),
}
"""By its name: where the header was read, the header as it is published, and an invented row under it."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_set_is_read_under_the_header_that_it_is_published_with(name: str) -> None:
    header, row = PUBLISHED[name][1]
    raw, known = f"{header}\n{row}\n".encode(), name.partition(",")[0]
    found = read(raw, side="benign" if known == "jailbreakbench" else None)
    (item,) = found.suite.items
    assert (found.suite.name, item.messages[0].content, found.left) == (known, "Q", ())
    assert item.hazard != "unsorted" or known == "advbench"
    assert known in {one.partition(",")[0] for one in SETS}


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_known_by_its_columns(name: str) -> None:
    raw, side, wanted = SETS[name]
    found = read(raw, side=side or None)
    assert found.suite.name == name.partition(",")[0]
    items = {item.id: item for item in found.suite.items}
    assert [item.measure for item in items.values()] == list(wanted.values())
    for id, pattern in zip(items, wanted, strict=True):
        assert id.startswith(pattern.removesuffix("*"))
        assert pattern.endswith("*") or id == pattern
    assert {item.hazard for item in items.values()} == set(found.suite.hazards)
    assert parse_suite("here", found.head, found.items) == (found.suite, ())


def test_every_known_set_is_tried_here_and_names_where_its_columns_are_from() -> None:
    assert {one.name for one in KNOWN} == {read(raw, side=side or None).suite.name for raw, side, _ in SETS.values()}
    assert all("/" in one.source and one.title for one in KNOWN)
    assert len({one.columns for one in PROMPT_SETS}) == len(PROMPT_SETS)


def test_categories_are_hazards_that_the_suites_have() -> None:
    core = load_suite("core").hazards
    assert {name: core[name] for name in AILUMINATE} == dict(AILUMINATE)
    assert set(CODES.values()) == set(AILUMINATE)
    for one in KNOWN:
        assert set(one.hazards.values()) <= set(AILUMINATE)
        assert all(category == category.casefold() for category in (*one.hazards, *one.left))


def test_a_context_stands_before_its_prompt_and_an_image_is_not_asked() -> None:
    columns = ("Behavior", "FunctionalCategory", "SemanticCategory", "ContextString", "BehaviorID", "ImageFileName")
    found = read(
        table(columns, (GOOD, "c", "copyright", "A fence.", "a", ""), (BAD, "c", "copyright", "", "b", "x.png"))
    )
    (item,) = found.suite.items
    assert item.messages[0].content == f"A fence.\n\n---\n\n{GOOD}"
    assert [(row.line, row.reason) for row in found.left] == [(3, words.NEEDS_IMAGE)]


def test_harmful_and_harmless_goals_have_the_same_columns_so_a_person_says_which() -> None:
    raw = SETS["jailbreakbench"][0]
    assert "--side" in refusal(raw)
    assert {item.measure for item in read(raw, side="benign").suite.items} == {BENIGN}
    assert "leave --side away" in refusal(SETS["xstest"][0], side="benign")
    assert "disallowed or benign" in refusal(raw, side="both")


def scene(first: str, second: str, **more: Any) -> dict[str, Any]:
    """A row in the form of BBQ's own (nyu-mll/BBQ@1b155a1f, data/Physical_appearance.jsonl), with nothing of theirs."""
    people = {"ans0": [second, second], "ans1": ["Not known", "unknown"], "ans2": [first, first]}
    return {
        "example_id": 1,
        "question_index": "1",
        "question_polarity": "neg",
        "context_condition": "disambig",
        "category": "Nationality",
        "answer_info": people,
        "additional_metadata": {"subcategory": "None", "stereotyped_groups": ["x"], "version": "a", "source": "x"},
        "context": f"An {first} gardener and a {second} painter met. The {first} one painted the fence.",
        "question": "Who painted the fence?",
        **{answer: f"The {told[0]} one" for answer, told in people.items()},
        "label": 2,
        **more,
    }


def test_questions_about_two_people_become_pairs_with_the_people_in_each_others_place() -> None:
    alone = scene("Austrian", "Danish", question_index="2")
    found = read(lines(scene("Austrian", "Swiss"), alone, scene("Swiss", "Austrian"), scene("Swiss", "Austrian")))
    one, other = found.suite.items
    assert (one.measure, one.pair, one.hazard) == (BENIGN, None, "bias-nationality")
    assert (other.measure, other.pair, other.choices) == ("unequal_treatment", one.id, one.choices)
    assert "first: The Austrian one\nsecond: The Swiss one\nunknown:" in one.messages[0].content
    assert "first: The Swiss one\nsecond: The Austrian one\nunknown:" in other.messages[0].content
    assert [(row.line, row.reason) for row in found.left] == [(2, words.NO_PARTNER), (4, words.said_before(3))]


def test_questions_without_such_a_partner_are_refused() -> None:
    assert "each other's place" in refusal(lines(scene("Austrian", "Swiss"), scene("Austrian", "Danish")))
    assert "each other's place" in refusal(lines(scene("Austrian", "Swiss", answer_info="?")))
    assert "each other's place" in refusal(lines(scene("Austrian", "Swiss", answer_info={"ans0": [1], "ans1": []})))


@pytest.mark.parametrize(
    ("columns", "row", "said", "taken"),
    [
        (("Prompt", "Category", "label"), (BAD, "hate", "unsafe"), {}, {"prompt": "prompt", "hazard": "category"}),
        (("question", "is_safe"), (GOOD, "False"), {}, {"prompt": "question", "side": "is_safe"}),
        (("text",), (BAD,), {"side": "disallowed"}, {"prompt": "text"}),
        (("text", "goal"), (BAD, "x"), {"side": "disallowed", "prompt_column": "Text"}, {"prompt": "text"}),
        (("q", "kind"), (BAD, "S1"), {"side": "disallowed", "prompt_column": "q", "hazard_column": "kind"}, {}),
    ],
)
def test_any_other_file_is_read_by_its_columns(columns, row, said, taken) -> None:
    found = read(table(columns, row), **said)
    (item,) = found.suite.items
    assert item.measure == DISALLOWED
    assert item.messages[0].content == row[0]
    assert taken.items() <= found.reading.taken.items()
    assert read(lines(dict(zip(columns, row, strict=True))), **said).suite.items == found.suite.items


@pytest.mark.parametrize(
    ("columns", "row", "said", "names"),
    [
        (("prompt", "goal"), (BAD, BAD), {"side": "benign"}, ("--prompt-column", "prompt", "goal")),
        (("what", "why"), (BAD, BAD), {"side": "benign"}, ("--prompt-column", "what")),
        (("prompt", "topic", "hazard"), (BAD, "a", "b"), {"side": "benign"}, ("--hazard-column", "topic", "hazard")),
        (("prompt",), (BAD,), {}, ("--side", "disallowed")),
        (("prompt", "label", "harmful"), (BAD, "safe", "1"), {}, ("--side", "label", "harmful")),
        (("prompt", "label"), (BAD, "maybe"), {}, ("--side",)),
        (("prompt",), (BAD,), {"side": "benign", "hazard_column": "kind"}, ("--hazard-column", "kind", "prompt")),
    ],
)
def test_what_the_columns_leave_open_is_refused_with_the_option_that_says_it(columns, row, said, names) -> None:
    told = refusal(table(columns, row), **said)
    assert all(name in told for name in names), told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"", "some.csv:"),
        (b"\xef\xbb\xbf\n \n", "some.csv:"),
        (b"prompt\n", "some.csv:"),
        (b"PK\x03\x04rest", "zip"),
        ("prompt\nx\n".encode("utf-16"), "UTF-16"),
        ("prompt,label\nok,safe\nGrüße,safe\n".encode("latin-1"), "some.csv:3:"),
        (b'prompt,label\n"a\nb",safe\n"c,safe\n', "some.csv:4:"),
        (b'prompt,label\nok,safe\n"c" d,safe\n', "some.csv:3:"),
        (b"prompt,label\nok,safe\na,b,c\n", "some.csv:3:"),
        (b"prompt,Prompt \nok,safe\n", "some.csv:1:"),
        (b'[{"prompt": "x"}]', "jq"),
        (b'{"prompt": "x", "label": "safe"}\n{"prompt": \n', "some.csv:2:"),
        (b'{"prompt": "x", "label": "safe"}\n"prompt"\n', "some.csv:2:"),
        (b'{"prompt": "x", "PROMPT": "y"}\n', "some.csv:1:"),
        (b'{"a": ' + b"[" * 50_000 + b"\n", "some.csv:1:"),
        (b"id,prompt,type,label,focus,note\n1,a,b,safe,,\n2,c,d,dangerous,,\n", "some.csv:3: label"),
        (b"prompt,label\nSay so.,safe\nSay so!,unsafe\n", "some.csv:3: the same prompt as in line 2"),
        (b"prompt,label\n,safe\n", "some.csv:2: none of"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_with_place_and_remedy(raw: bytes, place: str) -> None:
    told = refusal(raw)
    assert place in told
    assert "\n" not in told
    assert len(told) < 400


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_quotes_and_a_byte_order_mark_change_nothing(separator: str) -> None:
    text = 'Say "hello, world; good\tday"\nin two lines'
    raw = b"\xef\xbb\xbf" + table(("prompt", "label"), (text, "safe"), separator=separator)
    assert [item.messages[0].content for item in read(raw).suite.items] == [text]


def test_rows_that_nobody_can_ask_are_left_out_with_their_lines() -> None:
    huge = "x" * (10 * 1024 * 1024)
    found = read(table(("prompt", "label"), (GOOD, "safe"), ("", "safe"), (huge, "safe"), (f"{GOOD}?", "safe")))
    assert len(found.suite.items) == 1
    assert [(row.line, row.reason) for row in found.left] == [
        (3, words.EMPTY),
        (4, words.too_long(len(huge), 32_000)),
        (5, words.said_before(2)),
    ]
    assert [row.reason for row in read(lines({"prompt": GOOD, "safe": 1}, {"prompt": ["x"], "safe": 1})).left] == [
        words.EMPTY
    ]
    half = b'{"prompt": "half \\ud83d", "safe": true}\n'
    assert [row.reason for row in read(lines({"prompt": GOOD, "safe": True}) + half).left] == [words.NOT_UNICODE]


def test_an_item_keeps_its_id_where_other_rows_come_and_go() -> None:
    one, both = (table(("goal", "target"), *rows) for rows in ([(BAD, "")], [(GOOD, ""), (BAD, "")]))
    assert read(one).suite.items[0] == read(both).suite.items[1]


def test_a_hostile_category_is_a_short_title_in_one_line() -> None:
    raw = table(("prompt", "label", "category"), (GOOD, "safe", "x: [\x1b[31m" + "a b" * 5_000))
    ((name, title),) = read(raw).suite.hazards.items()
    assert len(name) <= 40
    assert len(title) <= 120
    assert title.isprintable()
    assert hazard_of("日本", {})[0] == "unsorted"


def test_a_file_of_prompts_may_be_named_where_a_suite_is(tmp_path: Path) -> None:
    path = tmp_path / "harmless words.txt"
    path.write_bytes(SETS["xstest"][0])
    suite, problems = examine_suite(str(path))
    assert suite is not None
    assert (suite.name, problems, suite.version[:5]) == ("xstest", (), "file-")
    path.write_bytes(table(("prompt", "label"), (GOOD, "safe")))
    assert load_suite(str(path)).name == "harmless-words"
    (tmp_path / "core.csv").write_bytes(table(("prompt", "label"), (GOOD, "safe")))
    assert load_suite(str(tmp_path / "core.csv")).name == "prompts", "no built-in suite's name"
    with pytest.raises(InputError, match="no file of prompts"):
        load_suite("x" * 5_000)


def test_changed_bytes_give_a_suite_or_one_line(tmp_path: Path) -> None:
    """Whatever a file holds: never another exception, never an item without a text."""
    chance = Random(7)
    ended: Counter[str] = Counter()
    for raw, side, _ in [*SETS.values(), (lines(scene("Austrian", "Swiss"), scene("Swiss", "Austrian")), "", {})]:
        for _ in range(60):
            changed = bytearray(raw)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(changed))
                kind = chance.randrange(4)
                if kind == 0:
                    changed[at] = chance.randrange(256)
                elif kind == 1:
                    del changed[at : at + chance.randint(1, 20)]
                elif kind == 2:
                    changed[at:at] = chance.choice([b'"', b",", b"\n", b"\r", b"\0", b";", b"\xff", b"{", b"\\ud800"])
                else:
                    changed[at:at] = changed[at : at + chance.randint(1, 40)]
            try:
                found = read(bytes(changed), side=side or None)
            except InputError:
                ended["refused"] += 1
            else:
                assert all(item.messages[0].content.strip() for item in found.suite.items)
                ended["read"] += 1
    assert min(ended["refused"], ended["read"]) > 50, ended
