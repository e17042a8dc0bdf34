"""`eval run`, `eval list`, `eval compare` of stored runs and `schedule`, against a real endpoint process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.evaluate.suite_library import load_suite
from services.store import evaluation_queue, routes
from services.store.engine import open_database
from services.store.evaluation_queue import DueRun
from services.wording.evaluations import NO_RESULT, SHORT
from services.wording.spending import AT_MOST
from tests.support.endpoint import KEY, Endpoint, running

ROUTE = "support-bot/prod"
ASK = ("eval", "run", "--route", ROUTE, "--model", "fake-1")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with running() as started:
        yield started


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A suite in a folder: the first items of the built-in one."""
    items = load_suite("smoke").items[:3]
    folder = tmp_path / "small"
    folder.mkdir()
    hazards = "\n".join(f"  {hazard}: Something" for hazard in sorted({item.hazard for item in items}))
    head = f"name: small\nversion: '1'\ntitle: Small\nmargin: 20\nhazards:\n{hazards}\n"
    (folder / "suite.yaml").write_text(head, encoding="utf-8")
    lines = [item.model_dump_json(exclude_defaults=True) for item in items]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.mark.embedding
def test_a_suite_is_run_without_any_service_stored_listed_and_compared(keelwatch, endpoint, small, tmp_path):
    database = f"sqlite:///{tmp_path}/runs.db"
    for _ in range(2):
        asked = (*ASK, "--endpoint", endpoint.url("compliant"), "--suite", small, "--database", database)
        code, out, err = keelwatch(*asked)
        assert (code, err) == (0, "")
        assert "suite small 1" in out
        assert "complete" in out
    code, out, _ = keelwatch("eval", "list", "--database", database, "--json", "-")
    runs = json.loads(out)
    assert [(run["route"], run["moment"], run["status"]) for run in runs] == [(ROUTE, "command", "complete")] * 2
    ids = [run["id"] for run in runs]
    code, out, _ = keelwatch("eval", "list", "--database", database)
    assert all(id in out for id in ids)
    code, out, _ = keelwatch("eval", "compare", *ids, "--database", database, "--json", "-")
    assert code == 0
    assert json.loads(out)["overall"] in ("unchanged", "inconclusive")
    code, _, err = keelwatch("eval", "compare", "0" * 16, ids[0], "--database", database)
    assert code == 2
    assert "keelwatch eval list" in err


def test_runs_that_are_not_done_are_listed_with_what_they_wait_for(keelwatch, tmp_path):
    url, until = f"sqlite:///{tmp_path}/waiting.db", datetime(2100, 1, 2, tzinfo=UTC)
    due = DueRun(
        ROUTE, "c" * 16, "change", "b" * 16, "own-traffic", "m at https://x/v1", 0, datetime(2026, 1, 1, tzinfo=UTC)
    )
    with closing(open_database(url)) as database, database.write() as connection:
        evaluation_queue.enqueue(connection, [due])
        [claimed] = evaluation_queue.claim(connection, "w", due.due, until, 1)
        evaluation_queue.wait(connection, claimed, until, "the day's budget is used up")
    code, out, _ = keelwatch("eval", "list", "--waiting", "--database", url)
    assert (code, "waits until 2 Jan 2100 00:00 UTC: the day's budget is used up" in out) == (0, True)
    assert "no run is due" in keelwatch("eval", "list", "--waiting", "--route", "other", "--database", url)[1]
    [told] = json.loads(keelwatch("eval", "list", "--waiting", "--database", url, "--json", "-")[1])
    assert (told["id"], told["state"], told["until"]) == (due.id, "due", "2100-01-02T00:00:00Z")


@pytest.mark.embedding
def test_json_is_what_compare_reads(keelwatch, endpoint, small, tmp_path):
    for name in ("normal", "compliant"):
        asked = (*ASK, "--endpoint", endpoint.url(name), "--suite", small, "--json", tmp_path / f"{name}.json")
        assert keelwatch(*asked)[0] == 0
    code, out, _ = keelwatch("eval", "compare", tmp_path / "normal.json", tmp_path / "compliant.json")
    assert code == 0
    assert "overall: " in out


def test_a_file_that_cannot_be_written_is_said_before_anything_is_asked(keelwatch, endpoint, small, tmp_path):
    (tmp_path / "folder").mkdir()
    for to, why in ((tmp_path / "gone" / "run.json", "No such file"), (tmp_path / "folder", "directory")):
        asked = ("--endpoint", endpoint.url("normal", "unwritten"), "--suite", small)
        code, _, err = keelwatch(*ASK, *asked, "--json", to)
        assert (code, "--json" in err, why in err, "file that can be written" in err) == (2, True, True, True), err
    assert endpoint.seen("unwritten") == []


@pytest.mark.embedding
def test_a_run_that_is_not_complete_exits_1_with_its_reason(keelwatch, endpoint, small):
    code, out, _ = keelwatch(*ASK, "--endpoint", endpoint.url("rejects"), "--suite", small)
    assert code == 1
    assert NO_RESULT in out
    assert "the endpoint answers 400 with application/json" in out


@pytest.mark.embedding
def test_the_routes_settings_are_sent_and_its_key_to_its_own_host_alone(
    keelwatch, endpoint, small, tmp_path, monkeypatch
):
    monkeypatch.setenv("THE_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", "other")
    (tmp_path / "prompt.txt").write_text("You are the bot.", encoding="utf-8")
    target = f"{{url: https://api.example.com/v1, model: m, api_key_env: THE_KEY, settings: {{temperature: 0}}, \
system_prompt_file: {tmp_path}/prompt.txt}}"
    config = tmp_path / "keelwatch.yaml"
    config.write_text(f"routes: {{{ROUTE}: {{target: {target}}}}}\n", encoding="utf-8")
    asked = (*ASK, "--config", config, "--suite", small)
    assert keelwatch(*asked, "--endpoint", endpoint.url("normal", "sent"))[0] == 0
    seen = endpoint.seen("sent")
    assert {request["body"]["temperature"] for request in seen} == {0}
    assert all(request["body"]["messages"][0]["content"].startswith("You are the bot.") for request in seen)
    assert not [request for request in seen if "authorization" in request["headers"]]
    keelwatch(*asked, "--endpoint", endpoint.url("normal", "keyed"), "--api-key-env", "OTHER_KEY")
    assert {request["headers"]["authorization"] for request in endpoint.seen("keyed")} == {"Bearer other"}


@pytest.mark.embedding
def test_a_run_against_another_one_stops_and_is_compared_and_full_asks_all(keelwatch, endpoint, tmp_path):
    before, after, whole = tmp_path / "before.json", tmp_path / "after.json", tmp_path / "whole.json"
    suite = ("--suite", "core")
    assert keelwatch(*ASK, "--endpoint", endpoint.url("normal"), *suite, "--json", before)[0] == 0
    asked = (*ASK, "--endpoint", endpoint.url("leaks"), *suite, "--against", before)
    code, out, _ = keelwatch(*asked, "--json", after)
    found = json.loads(after.read_text())
    assert (code, found["stopped"]["rule"], found["against"]) == (0, "regressed", json.loads(before.read_text())["id"])
    assert "stopped after" in out
    assert "tokens sent" in out
    assert SHORT["regressed"] in out
    code, out, _ = keelwatch("eval", "compare", before, after)
    assert (code, "overall: regressed" in out) == (0, True)
    assert keelwatch(*asked, "--full", "--json", whole)[0] == 0
    found = json.loads(whole.read_text())
    assert (found["stopped"], found["against"]) == (None, None)
    strange = (*ASK, "--endpoint", endpoint.url("normal"), "--suite", "smoke", "--against", before)
    assert keelwatch(*strange)[0] == 2


def test_a_plan_asks_nothing_and_says_what_a_run_takes(keelwatch, endpoint, small, tmp_path):
    config = tmp_path / "keelwatch.yaml"
    target = f"{{url: {endpoint.url('normal', 'plan')}, model: fake-1, budget: {{cost: 0.00001}}, \
prices: {{input: 2, output: 8}}, settings: {{max_tokens: 50}}}}"
    config.write_text(f"allow_hosts: [127.0.0.1]\nroutes: {{{ROUTE}: {{target: {target}}}}}\n", encoding="utf-8")
    asked = ("eval", "run", "--route", ROUTE, "--config", config, "--suite", small)
    code, out, _ = keelwatch(*asked, "--plan", "--json", "-")
    (plan,) = json.loads(out)
    assert (code, plan["questions"], plan["basis"], plan["affordable"]) == (0, 3, "max_tokens", 0)
    assert plan["cost"] == pytest.approx((plan["sent"] * 2 + plan["came"] * 8) / 1e6)
    assert endpoint.seen("plan") == []
    code, out, _ = keelwatch(*asked, "--plan")
    assert (code, AT_MOST in out, "it would be incomplete" in out) == (0, True, True)
    code, out, _ = keelwatch(*asked)
    assert code == 1
    assert endpoint.seen("plan") == [], "not one question fits"


def test_a_budget_of_money_needs_prices(keelwatch, tmp_path):
    config = tmp_path / "keelwatch.yaml"
    config.write_text("defaults: {target: {url: 'https://x.example/v1', model: m, budget: {cost: 5}}}\n")
    code, out, err = keelwatch("check-config", config)
    assert code != 0
    assert "budget.cost" in out + err
    assert "prices" in out + err


def test_battle_files_give_strengths(keelwatch, tmp_path):
    rows = [{"model_a": "new", "model_b": "old", "winner": "model_a" if n % 4 else "tie (bothbad)"} for n in range(40)]
    file = tmp_path / "battles.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    code, out, _ = keelwatch("eval", "arena", "--battles", file, "--json", "-")
    found = json.loads(out)
    assert (code, [one["version"] for one in found["strengths"]], found["battles"]) == (0, ["new", "old"], 40)
    assert (found["strengths"][0]["wins"], found["strengths"][0]["ties"]) == (30, 10)
    code, out, _ = keelwatch("eval", "arena", "--battles", file)
    assert (code, "new" in out, "40 pairs judged" in out) == (0, True, True)
    code, _, err = keelwatch("eval", "arena", "--battles", tmp_path / "absent")
    assert (code, "name a battle file" in err) == (2, True)
    code, _, err = keelwatch("eval", "arena", file)
    assert code == 2


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--route", ROUTE), "--endpoint and --model"),
        (("--route", "Not A Route", "--endpoint", "http://x", "--model", "m"), "must be 1-200 characters"),
        (("--route", ROUTE, "--endpoint", "model", "--model", "m"), "--endpoint: must be a URL"),
        (("--route", ROUTE, "--endpoint", "https://[x", "--model", "m"), "--endpoint: must be a URL"),
        (("--route", ROUTE, "--endpoint", "http://x", "--model", "m", "--suite", "absent"), "suite absent"),
        (("--route", ROUTE, "--endpoint", "http://x", "--model", "m", "--api-key-env", "ABSENT"), "ABSENT"),
        (("--route", ROUTE, "--endpoint", "http://x?a=b", "--model", "m"), "name its parameters by --query"),
        *(
            (("--route", ROUTE, "--endpoint", "http://x", "--model", "m", *more), remedy)
            for more, remedy in (
                (("--api", "converse"), "--api: converse is none; name one of chat_completions, responses, messages"),
                (("--header", "X-Team"), "--header: must be NAME=VALUE, or NAME=$VARIABLE"),
                (("--header", "host=x"), "--header host: follows from the request"),
                (("--header", "api-key=abc"), "write api-key=$VARIABLE"),
                (("--header", "X-Team=8f3kPq0ZxT1mWb7YdN5c"), "write X-Team=$VARIABLE"),
                (("--header", "X-Team=$low"), "--header X-Team: must be text, or {env: NAME}"),
                (("--header", "X-Team=$ABSENT"), "ABSENT: holds no key"),
                (("--query", "key=abc"), "write key=$VARIABLE"),
                (("--query", "a b=c"), "--query a b: must be the name of a query parameter"),
            )
        ),
    ],
)
def test_bad_input_is_one_line_with_the_remedy(keelwatch, words, remedy):
    code, out, err = keelwatch("eval", "run", *words)
    assert (code, out) == (2, "")
    assert remedy in err
    assert err.startswith("keelwatch: ")


@pytest.mark.embedding
def test_options_say_api_headers_and_query_and_the_routes_own_go_to_its_own_host_alone(
    keelwatch, endpoint, small, tmp_path, monkeypatch
):
    monkeypatch.setenv("THE_KEY", KEY)
    target = f"{{url: {endpoint.url('normal', 'own')}, model: fake-1, api: messages, query: {{a: b}}, \
headers: {{x-api-key: {{env: THE_KEY}}, X-Team: safety}}}}"
    config = tmp_path / "keelwatch.yaml"
    config.write_text(f"allow_hosts: [127.0.0.1]\nroutes: {{{ROUTE}: {{target: {target}}}}}\n", encoding="utf-8")
    asked = ("eval", "run", "--route", ROUTE, "--config", config, "--suite", small)
    code, _, err = keelwatch(*asked, "--header", "x-team=other", "--query", "c=d")
    assert (code, err) == (0, "")
    (own, *_) = endpoint.seen("own")
    assert own["path"] == "/normal/own/v1/messages?a=b&c=d"
    assert (own["headers"]["x-api-key"], own["headers"]["x-team"]) == (KEY, "other")
    elsewhere = endpoint.url("normal", "elsewhere").replace("127.0.0.1", "localhost")
    assert keelwatch(*asked, "--endpoint", elsewhere, "--api", "responses", "--header", "X-Key=$THE_KEY")[0] == 0
    (other, *_) = endpoint.seen("elsewhere")
    assert other["path"] == "/normal/elsewhere/v1/responses"
    assert "x-team" not in other["headers"]
    assert "x-api-key" not in other["headers"]
    assert other["headers"]["x-key"] == KEY


def test_check_config_says_what_is_sent_where_and_never_a_key(keelwatch, tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_KEY", KEY)
    config = tmp_path / "keelwatch.yaml"
    config.write_text(
        """\
defaults:
  target: {url: https://api.example.com/v1, model: m, api: responses, settings: {temperature: 0}}
routes:
  plain: {embed_share: 0.5}
  azure:
    target:
      url: https://x.openai.azure.com/openai/deployments/d
      model: gpt-4o
      headers: {api-key: {env: AZURE_KEY}, X-Team: safety}
      query: {api-version: 2024-10-21, code: {env: GATE_KEY}}
      system_prompt_file: absent.txt
""",
        encoding="utf-8",
    )
    code, out, _ = keelwatch("check-config", config)
    assert code == 0
    assert [
        line for line in out.splitlines()[1:] if "call" not in line and "core" not in line and "budget" not in line
    ] == [
        "defaults: asks m by OpenAI Responses: POST https://api.example.com/v1/responses",
        "defaults: sends no key; settings store=false, temperature=0",
        "azure: asks gpt-4o by OpenAI Chat Completions: POST https://x.openai.azure.com/openai/deployments/d"
        "/chat/completions?api-version=2024-10-21&code=$GATE_KEY",
        f"azure: sends api-key: what AZURE_KEY holds; X-Team: safety; the system prompt of {tmp_path}/absent.txt",
        "azure: cannot be asked from this environment: GATE_KEY: holds no key of the target "
        "https://x.openai.azure.com/openai/deployments/d; set the variable",
    ]
    monkeypatch.setenv("GATE_KEY", "gate-secret")
    code, out, _ = keelwatch("check-config", config)
    assert "absent.txt cannot be read" in out
    assert KEY not in out
    assert "gate-secret" not in out


def test_schedules_are_added_listed_and_removed(keelwatch, tmp_path):
    where = ("--database", f"sqlite:///{tmp_path}/plans.db")
    weekly = ("schedule", "add", ROUTE, "weekly", "--cron", "0 6 * * 1", "--timezone", "Europe/Berlin", "--new")
    assert keelwatch(*weekly, "--suite", "core", "--overlap", "skip", *where)[0] == 0
    code, _, err = keelwatch(*weekly, *where)
    assert code == 2
    assert "choose another NAME" in err
    code, out, _ = keelwatch("schedule", "list", *where, "--json", "-")
    (found,) = json.loads(out)
    assert found == {
        "route": ROUTE,
        "name": "weekly",
        "cron": "0 6 * * 1",
        "timezone": "Europe/Berlin",
        "suites": ["core"],
        "enabled": True,
        "origin": "command",
        "overlap": "skip",
        "catch_up": "last",
        "next": found["next"],
        "last": None,
        "missed": None,
    }
    assert found["next"].endswith(("T04:00:00Z", "T05:00:00Z"))
    assert keelwatch("schedule", "remove", ROUTE, "weekly", *where)[0] == 0
    code, _, err = keelwatch("schedule", "remove", ROUTE, "weekly", *where)
    assert code == 2
    assert "schedule list" in err


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ((ROUTE, "bad name", "--cron", "0 6 * * 1"), "NAME"),
        ((ROUTE, "a", "--cron", "0 6 * * 9"), "--cron: cron day of week"),
        ((ROUTE, "a", "--cron", "@every 0h"), "--cron: must be five fields, or @every"),
        ((ROUTE, "a", "--cron", "@daily"), "--cron: must be five fields, or @every"),
        ((ROUTE, "a", "--cron", "0 6 * * 1", "--overlap", "wait"), "--overlap: "),
        ((ROUTE, "a", "--cron", "0 6 * * 1", "--catch-up", "some"), "--catch-up: "),
        ((ROUTE, "a", "--cron", "0 6 * * 1", "--timezone", "Berlin"), "--timezone: not an IANA time zone"),
        ((ROUTE, "a", "--cron", "0 6 * * 1", "--suite", "absent"), "suite absent"),
        (("A b", "a", "--cron", "0 6 * * 1"), "must be 1-200 characters"),
    ],
)
def test_a_bad_schedule_is_refused_with_the_field(keelwatch, tmp_path, words, remedy):
    code, _, err = keelwatch("schedule", "add", *words, "--new", "--database", f"sqlite:///{tmp_path}/plans.db")
    assert code == 2
    assert remedy in err


def test_a_route_never_seen_is_refused_with_near_names_unless_it_is_new(keelwatch, endpoint, small, tmp_path):
    config = tmp_path / "keelwatch.yaml"
    config.write_text("routes: {support/prod: {}}\n", encoding="utf-8")
    plan = ("eval", "run", "--endpoint", endpoint.url("normal", "typo"), "--model", "m", "--suite", small, "--plan")
    code, _, err = keelwatch(*plan, "--route", "support/prd", "--config", config)
    assert (code, "did you mean support/prod?" in " ".join(err.split())) == (2, True)
    assert keelwatch(*plan, "--route", "support/prod", "--config", config)[0] == 0
    assert keelwatch(*plan, "--route", "support/prd", "--config", config, "--new")[0] == 0
    assert keelwatch(*plan, "--route", "support/prd")[0] == 0, "where nothing was ever seen a name is only a label"
    database = f"sqlite:///{tmp_path}/seen.db"
    opened = open_database(database)
    with opened.write() as connection:
        routes.ensure(connection, "bot/prod")
    opened.close()
    add = ("schedule", "add", "bot/prd", "daily", "--cron", "0 6 * * *", "--database", database)
    for words in ((*plan, "--route", "bot/prd", "--database", database), add):
        code, _, err = keelwatch(*words)
        assert (code, "did you mean bot/prod?" in " ".join(err.split())) == (2, True)
        assert keelwatch(*words, "--new")[0] == 0
    assert keelwatch(*add[:2], "support/prod", *add[3:], "--config", config)[0] == 0
