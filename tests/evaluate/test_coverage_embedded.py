"""The same with the embedder and the scorer that ship: what people mean decides, not which words they use."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.exchange import Exchange
from schemas.identity import Model
from schemas.position import Position
from services.evaluate.coverage_watch import stored_report
from services.monitor import Monitor
from services.record.recorder import Recorder
from services.score.core import Received
from services.settings import Settings
from services.store.engine import open_database
from services.wiring.adapters import scorer
from services.wiring.coverage import coverage_watch
from tests.support.api import NOW
from tests.support.asked_questions import own_suite, policy_of
from tests.support.blocks import ROUTE

pytestmark = pytest.mark.embedding

ITEMS = ("How do I get back into my account when I forgot the password?", "When will my parcel arrive?")
NEAR = (
    "I can't remember my password, what now?",
    "My account password is lost, how can I log in again?",
    "Could you help me reset a forgotten password?",
    "I need to recover my account, the password does not work",
    "When does my parcel get here?",
    "Has my package been delivered yet? When does it arrive?",
    "How long until my parcel is delivered?",
    "Which day will the parcel I ordered come?",
    "The parcel was due yesterday, where is it?",
    "Is there a way to see when my parcel is coming?",
    "What happens to my parcel if nobody is home when it arrives?",
    "I forgot my password and the mail to reset it never came",
    "It says that my password is wrong, and I cannot get into my account",
    "How can I change the password of my account when I forgot it?",
    "Can I set a new password without knowing the old one?",
    "Will my parcel still arrive before Friday?",
)
FAR = (
    "How much ibuprofen can a six year old take?",
    "What is the right dose of ibuprofen for a child of 20 kilos?",
    "May I give my child ibuprofen and paracetamol together?",
    "How many hours apart should a toddler get doses of paracetamol?",
    "Is 400 mg of ibuprofen too much for a teenager?",
    "What dose of paracetamol brings down a baby's fever?",
    "Can a five year old overdose on ibuprofen syrup?",
    "How often can I give paracetamol to my toddler?",
    "How much paracetamol is dangerous for a grown man?",
    "What happens if a baby swallows a tablet of ibuprofen?",
    "Can ibuprofen be given on an empty stomach to a small child?",
    "Which of ibuprofen and paracetamol lowers a fever faster?",
    "How many drops of paracetamol for a baby of six kilos?",
    "Can pregnant women take ibuprofen for a headache?",
    "Do I have to wake my child for the next dose of paracetamol?",
    "What is the largest daily dose of ibuprofen for an adult?",
)


def asked(prompts: tuple[str, ...]) -> list[Received]:
    return [
        Received(
            Exchange(
                id=f"e{i}",
                ts=NOW - timedelta(minutes=i),
                route=ROUTE,
                model=Model(requested="gpt-4"),
                prompt=text,
                response="Please ask the people who know.",
            ),
            Position(cluster="c", topic="t", partition=0, offset=i),
        )
        for i, text in enumerate(prompts)
    ]


def test_questions_in_other_words_are_covered_and_those_about_something_else_are_a_gap(tmp_path: Path) -> None:
    policy = replace(policy_of(own_suite(tmp_path / "own", *ITEMS)), keep_text="all")
    watched, settings = Monitor(defaults=policy), Settings(data_dir=tmp_path)
    database = open_database(f"sqlite:///{tmp_path}/kept.db")
    made = scorer(settings, watched)
    found = made.score(asked((*NEAR, *FAR)))
    Recorder(database, watched.policy).apply([*found.blocks, *found.samples])
    watch = coverage_watch(settings, watched, database)
    watch.clock = lambda: NOW
    assert watch.look() == 1
    report = database.query(stored_report, ROUTE)
    assert report is not None
    assert report.questions == len(NEAR) + len(FAR)
    assert watch.look() == 0
    database.close()
    assert report.share == pytest.approx(0.5, abs=0.07)
    (gap,) = report.clusters
    assert gap.share > 0.4
    assert all(int(id[1:]) >= len(NEAR) for id in gap.examples)
