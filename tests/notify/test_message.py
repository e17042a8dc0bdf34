"""What a message says, and that no text in it becomes more than text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.incident import Incident, TimelineEntry
from services.incident.fold import fold
from services.monitor.fields import is_mention
from services.notify import message
from services.notify.block_kit import cleaned, mention
from services.notify.buttons import BUTTONS
from services.notify.message import MessageOptions, RenderedMessage, plain_lines
from services.wording import notifications as words
from services.wording.decisions import DECISIONS, decision_text
from services.wording.evaluations import NOT_RUN, comparison_text
from services.wording.incidents import headline_in_full, state, verdict_in_full
from tests.support.block_kit import problems, texts
from tests.support.hostile import HOSTILE
from tests.support.records import ROUTE, alert, at, change, comparison, decision, family_alert, run
from tests.support.source import ROOT

LOOK = MessageOptions("https://keelwatch.example", buttons=True)
MENTION = "<!subteam^S123>"
GOLDEN = Path(__file__).with_name("golden_incident.json")
BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def incident(**fields: Any) -> Incident:
    """An incident with all that can stand in one."""
    facts = [
        change("suspected", index=600, reason="model_shift moved while the model kept its name"),
        family_alert("model_shift", index=600, exemplars=("k:c/t/0/598", "k:c/t/0/600")),
        alert(index=720, exemplars=("k:c/t/0/711",)),
        run(hours=13),
        comparison(hours=13.1),
        decision("acknowledge", 14),
    ]
    (made,) = fold(ROUTE, facts).incidents
    return made.model_copy(update=fields)


ID = incident().id


def messages(made: Incident, said: str) -> list[RenderedMessage]:
    return [
        message.of_incident(made, LOOK),
        message.of_incident(made, MessageOptions(), MENTION),
        message.of_entry(said, at(0)),
        message.of_rise(made, said, LOOK, MENTION),
        message.of_storm([made] * 45, LOOK, MENTION),
    ]


def hostile(text: str) -> Incident:
    """An incident in which every text is this one."""
    entry = TimelineEntry.model_construct(ts=at(1), kind="evaluation", text=text, actor=text, ref=None)
    return incident().model_copy(
        update={
            "headline": text,
            "verdict_reason": text,
            "exemplars": (text,) * 10,
            "timeline": (entry,) * 40,
        }
    )


def body(one: RenderedMessage) -> dict[str, Any]:
    """As it goes over the wire: what cannot be UTF-8 fails here."""
    return json.loads(json.dumps({"text": one.text, "blocks": list(one.blocks)}, ensure_ascii=False).encode())


def markup(value: Any) -> list[str]:
    """Every text that Slack reads as markup."""
    if isinstance(value, dict):
        own = [value["text"]] if value.get("type") == "mrkdwn" else []
        return own + [text for item in value.values() for text in markup(item)]
    return [text for item in value for text in markup(item)] if isinstance(value, list) else []


def elements(value: Any, *kinds: str) -> list[dict[str, Any]]:
    """Every element of these types, at any depth."""
    if isinstance(value, dict):
        own = [value] if value.get("type") in kinds else []
        return own + [found for item in value.values() for found in elements(item, *kinds)]
    return [found for item in value for found in elements(item, *kinds)] if isinstance(value, list) else []


def check_harmless(one: RenderedMessage, page: str = f"https://keelwatch.example/incidents/{ID}") -> None:
    sent = body(one)
    assert problems(sent) == []
    assert set(markup(sent["blocks"])) <= {MENTION}
    assert elements(sent["blocks"], "user", "usergroup", "broadcast", "channel", "emoji", "date") == []
    links = {link["url"] for link in elements(sent["blocks"], "link")}
    assert links <= {page}
    assert not re.search(r"[<>]|&(?!(?:amp|lt|gt);)|://", sent["text"])
    assert all(found.get("emoji") is False for found in elements(sent["blocks"], "plain_text"))
    shown = "".join([sent["text"], *texts(sent["blocks"])])
    assert not BIDI.search(shown)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", shown)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text(text: str) -> None:
    for one in messages(hostile(text), text):
        check_harmless(one)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_tag_reason_or_id_comes_through_the_incident_as_text(text: str) -> None:
    """The way that a publisher's text takes: the tag of a slice, the ids of exemplars, what someone typed."""
    sane = text.encode("utf-8", "replace").decode()
    facts = [
        alert(index=720, slice=f"tags.locale={sane}", exemplars=(sane,)),
        change("suspected", index=730, reason=sane),
        comparison(hours=13, reason=sane, suite=sane),
        decision("acknowledge", 14, actor=sane, reason=sane),
    ]
    state = fold(ROUTE, facts)
    (made,) = state.incidents
    page = f"https://keelwatch.example/incidents/{made.id}"
    for said in (*messages(made, state.notifications[0].text), message.of_entry(state.notifications[-1].text, at(0))):
        check_harmless(said, page)


@given(st.text(max_size=400) | st.text("<>!@#&*_~`|:/^ abU\x00\u202e\U0001f600", max_size=4000))
def test_any_text_stays_text(text: str) -> None:
    for one in messages(hostile(text), text):
        check_harmless(one)


@given(st.text(max_size=50), st.integers(2, 40))
def test_a_cut_text_is_the_beginning_of_what_was_said(text: str, limit: int) -> None:
    whole, short = cleaned(text, 1000), cleaned(text, limit)
    assert len(short.encode("utf-16-le")) // 2 <= limit
    assert short == whole or (short.endswith("…") and whole.startswith(short[:-1]))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_only_mentions_are_mentions(text: str) -> None:
    assert is_mention(text) == (
        text in {"<!channel>", "<!here>", "<!everyone>", "<@U012AB3CD>", "<!subteam^S012AB3CD>"}
    )
    assert not is_mention(f"{MENTION} {text} ")
    with pytest.raises(ValueError, match="not a mention"):
        mention(f"oncall {text}")


def test_a_message_is_the_golden_one() -> None:
    """To change it: write what it says now to golden_incident.json, and read it."""
    said = message.of_incident(incident(), LOOK, MENTION)
    shown = json.dumps(body(said), indent=1, ensure_ascii=False) + "\n"
    assert shown == GOLDEN.read_text(encoding="utf-8"), shown


def test_it_says_what_people_need() -> None:
    made = incident()
    said = "\n".join(plain_lines(message.of_incident(made, LOOK)))
    for text in (
        "🟡 warning: support-bot/prod",
        headline_in_full(made),
        f"{words.WHO_CHANGED}  {verdict_in_full(made)}",
        f"{words.SUITES}  {comparison_text(comparison(hours=13.1))}",
        f"{words.STATE}  {state(made)}",
        f"{words.EXAMPLES}  3 exchanges",
        f"{words.short_time(at(14))} {decision_text(decision('acknowledge', 14))}",
        f"https://keelwatch.example/incidents/{made.id}",
        f"[ {DECISIONS['accept_baseline'].label} ]",
    ):
        assert text in said, said


def test_details_and_ids_are_left_out() -> None:
    made = incident()
    said = "\n".join(plain_lines(message.of_incident(made, LOOK, MENTION)))
    assert not any(entry.details in said for entry in made.timeline if entry.details)
    assert not any(id in said for id in (*made.exemplars, made.identities[0][:8]))


def test_what_is_not_known_is_said_to_be() -> None:
    (quiet,) = fold(ROUTE, [family_alert("model_shift")]).incidents
    said = "\n".join(plain_lines(message.of_incident(quiet, MessageOptions())))
    assert f"{words.SUITES}  {NOT_RUN}" in said
    assert f"{words.EXAMPLES}  none" in said
    assert words.by_command(quiet.id) in said
    assert "[ " not in said, "buttons that nobody can verify are not offered"


def test_buttons_go_with_the_state() -> None:
    open_, seen, done = (incident(state=state) for state in ("open", "acknowledged", "resolved"))
    labels = [[one["text"]["text"] for one in elements(list(message.of_incident(i, LOOK).blocks), "button")]
              for i in (open_, seen, done)]  # fmt: skip
    assert labels[0] == [one.label for one in BUTTONS if one.kind != "end_silence"]
    assert labels[1] == labels[0][1:]
    assert labels[2] == []


def test_the_example_in_the_documents_is_rendered_too() -> None:
    for path in sorted((ROOT / "schemas" / "examples" / "incident" / "1").glob("*.json")):
        check_harmless(message.of_incident(Incident.decode(path.read_bytes()), MessageOptions()))
