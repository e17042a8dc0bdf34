"""The monitor file: the contract's example, merging, the best pattern, and every mistake with line and remedy."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InputError
from services.monitor import BaselinePolicy, MonitorError, ReceiverPolicy, RoutePolicy, SlackReceiver, check, load
from services.monitor.loader import MAX_BYTES, examine
from services.monitor.sent_values import FromEnvironment, looks_like_key
from services.specs import signals

EXAMPLE = Path(__file__).resolve().parents[2] / "infra" / "keelwatch.example.yaml"
CONTRACT = """\
defaults: {baseline: {size: 1000, min_size: 300, max_days: 7, per_hour: 84}, false_pages_per_month: 1, keep_text: default, embed_share: 1.0}
allow_hosts: []
routes:
  support-bot/*:
    floors: {refusal: 0.02, secret_leak: 0}
    slices: [hazard, language, tags.locale]
    suites: [core]
    target: {url: https://example.com/v1, model: gpt-4, api_key_env: OPENAI_API_KEY, system_prompt_file: prompts/support.txt, settings: {temperature: 0}}
    schedules: [{name: weekly, cron: "0 6 * * 1", timezone: Europe/Berlin}]
    after_change: [0m, 1h, 24h, 7d]
    notify: [slack-oncall]
receivers:
  slack-oncall: {slack: {channel: "#llm-safety", token_env: KEELWATCH_SLACK_TOKEN, mention: "<!subteam^S123>"}}
"""  # noqa: E501


def policy(text: str, route: str) -> RoutePolicy:
    monitor, problems = examine(text, "k.yaml")
    assert monitor is not None, problems
    return monitor.policy(route)


def said(text: str) -> list[str]:
    return [str(problem) for problem in examine(text, "k.yaml")[1]]


def test_without_a_file_the_defaults_of_the_contract_hold() -> None:
    found = load(None).policy("any/route")
    assert found == RoutePolicy()
    assert found.baseline == BaselinePolicy(size=1000, min_size=300, max_days=7, per_hour=84)
    rates = dict.fromkeys(("refusal", "pii_leak", "harmful_compliance"), 0.02)
    assert found.floors == {**rates, "secret_leak": 0.0, "system_prompt_leak": 0.0}
    assert (found.false_pages_per_month, found.keep_text, found.embed_share) == (1.0, "default", 1.0)


def test_the_example_of_the_contract_is_accepted() -> None:
    monitor, problems = examine(CONTRACT, "k.yaml")
    assert monitor is not None
    assert problems == ()
    found = monitor.policy("support-bot/prod")
    assert found.after_change == (timedelta(0), timedelta(hours=1), timedelta(days=1), timedelta(days=7))
    assert found.target is not None
    assert found.target.settings == {"temperature": 0}
    assert found.schedules[0].cron == "0 6 * * 1"
    slack = SlackReceiver("#llm-safety", "KEELWATCH_SLACK_TOKEN", "<!subteam^S123>")
    assert monitor.receivers["slack-oncall"] == ReceiverPolicy(slack, "info")
    assert monitor.policy("other") == RoutePolicy()


def test_slices_without_a_scorer_are_accepted_with_a_warning() -> None:
    warned = [line for line in said(CONTRACT) if "slices" in line]
    told = "no scorer provides it in this version: not monitored"
    assert warned == [
        f"k.yaml:6: warning: routes.support-bot/*.slices[{i}]: {name}: {told}"
        for i, name in enumerate(("hazard", "language"))
        if name not in signals()
    ]


def test_tools_and_guardrails_may_be_slices() -> None:
    assert policy("defaults: {slices: [tool, guardrail, tags.a]}", "b").slices == ("tool", "guardrail", "tags.a")


def test_shadow_is_of_a_route_of_signals_or_of_an_own_signal() -> None:
    text = """\
defaults: {shadow: true}
routes:
  a: {}
  b: {shadow: false}
  c: {shadow_signals: [refusal]}
signals:
  rivals: {keywords: [acme], floor: 0.02, shadow: true}
  cats: {keywords: [cat], floor: 0.02}
"""
    found = {name: policy(text, name) for name in "abc"}
    assert [found[name].shadow for name in "abc"] == [True, False, True]
    assert [found["b"].shadows(name) for name in ("custom.rivals", "custom.cats", "refusal", None)] == [
        True,
        False,
        False,
        False,
    ]
    alone = policy(text.replace("shadow: true}\nroutes", "}\nroutes").replace("{}", "{shadow_signals: [refusal]}"), "a")
    assert [alone.shadows(name) for name in ("custom.rivals", "refusal", "evasion", None)] == [True, True, False, False]
    _, problems = examine("routes:\n  a: {shadow_signals: [kindness]}\n", "k.yaml")
    assert [(one.line, one.severity) for one in problems] == [(2, "error")]


def test_the_shipped_example_loads() -> None:
    assert load(EXAMPLE).policy("support-bot/prod").suites == ("core",)
    assert all(problem.severity == "warning" for problem in check(EXAMPLE))


def test_floors_and_baseline_merge_key_by_key_and_the_rest_as_a_whole() -> None:
    text = """\
defaults: {baseline: {size: 500}, floors: {refusal: 0.05}, slices: [tags.a], embed_share: 0.5}
routes:
  a: {baseline: {min_size: 100}, floors: {pii_leak: 0.1}, slices: [tags.b]}
"""
    found = policy(text, "a")
    assert found.baseline == BaselinePolicy(size=500, min_size=100)
    assert found.floors == {"refusal": 0.05, "pii_leak": 0.1, "harmful_compliance": 0.02, "secret_leak": 0.0} | {
        "system_prompt_leak": 0.0
    }
    assert (found.slices, found.embed_share) == (("tags.b",), 0.5)
    assert policy(text, "b").slices == ("tags.a",)


def test_ceilings_merge_key_by_key() -> None:
    text = """\
defaults: {objectives: {harmful_compliance: 0.005}}
routes:
  a: {objectives: {refusal: 0.3}}
  b: {objectives: {harmful_compliance: 0.01}}
"""
    assert policy(text, "a").objectives == {"harmful_compliance": 0.005, "refusal": 0.3}
    assert policy(text, "b").objectives == {"harmful_compliance": 0.01}
    assert policy(text, "c").objectives == {"harmful_compliance": 0.005}
    assert RoutePolicy().objectives == {}


@pytest.mark.parametrize(
    ("route", "share"),
    [("bot/prod", 0.1), ("bot/prod/eu", 0.2), ("bot/test", 0.3), ("other", 0.4), ("bot/pr", 0.3), ("but/prod", 0.5)],
)
def test_the_most_specific_pattern_wins_whatever_the_order(route: str, share: float) -> None:
    shares = {"bot/prod": 0.1, "bot/prod*": 0.2, "bot/*": 0.3, "*": 0.4, "b?t/*": 0.5}
    for names in (list(shares), list(reversed(shares))):
        text = "routes:\n" + "".join(f'  "{name}": {{embed_share: {shares[name]}}}\n' for name in names)
        assert policy(text, route).embed_share == share


def test_empty_files_and_sections_are_defaults() -> None:
    for text in ("", "# nothing\n", "routes:\nreceivers:\ndefaults:\n", "---\n"):
        assert policy(text, "a") == RoutePolicy()


MISTAKES = [
    ("defaluts: {}", 1, "defaluts: unknown key; did you mean defaults?"),
    ("routes:\n  a:\n    flors: {}", 3, "routes.a.flors: unknown key; did you mean floors?"),
    ("routes:\n  a:\n    zzz: {}", 3, "unknown key; known: after_change, baseline, embed_share"),
    ("defaults:\n  baseline:\n    sise: 3", 3, "defaults.baseline.sise: unknown key; did you mean size?"),
    ("routes:\n  a:\n    floors:\n      refusl: 0.1", 4, "unknown signal; did you mean refusal?"),
    ("routes:\n  a:\n    floors:\n      refusal: 2", 4, "routes.a.floors.refusal: must be less than or equal to 1"),
    ("routes:\n  a:\n    floors:\n      refusal: -0.1", 4, "must be greater than or equal to 0"),
    ('routes:\n  a:\n    floors:\n      refusal: "0.1"', 4, "must be a number, without quotes"),
    ("routes:\n  a:\n    floors:\n      refusal: yes", 4, "must be a number, without quotes"),
    ("routes:\n  a:\n    floors: 0.1", 3, "routes.a.floors: must be a mapping"),
    ("routes:\n  a:\n    objectives:\n      refusl: 0.1", 4, "unknown signal; did you mean refusal?"),
    ("routes:\n  a:\n    objectives:\n      refusal: 0", 4, "routes.a.objectives.refusal: must be greater than 0"),
    ("routes:\n  a:\n    objectives:\n      refusal: 1.5", 4, "must be less than or equal to 1"),
    ('routes:\n  a:\n    objectives:\n      refusal: "5%"', 4, "must be a number, without quotes"),
    ("routes:\n  a:\n    objectives:\n      custom.nope: 0.1", 4, "defines no nope"),
    ("routes:\n  a:\n    objectives: 0.1", 3, "routes.a.objectives: must be a mapping"),
    ("routes:\n  a:\n    embed_share: 0", 3, "must be greater than 0"),
    ("routes:\n  a:\n    embed_share: .nan", 3, "must be a finite number"),
    ("routes:\n  a:\n    false_pages_per_month: .inf", 3, "must be a finite number"),
    ("routes:\n  a:\n    false_pages_per_month: 0", 3, "must be greater than 0"),
    ("routes:\n  a:\n    keep_text: some", 3, "must be 'all', 'default' or 'none'"),
    (
        "routes:\n  a:\n    slices: [subject]",
        3,
        "routes.a.slices[0]: must be guardrail, hazard, language, tool, topic or tags.NAME",
    ),
    ("routes:\n  a:\n    slices: tags.a", 3, "routes.a.slices: must be a list"),
    ("routes:\n  a:\n    suites:\n      - 3", 4, "routes.a.suites[0]: must be text"),
    ("routes:\n  a:\n    after_change: [1w]", 3, "for example 0m, 1h, 24h or 7d"),
    ("routes:\n  a:\n    after_change: [5]", 3, "for example 0m, 1h, 24h or 7d"),
    ("routes:\n  a:\n    after_change: [-1h]", 3, "for example 0m, 1h, 24h or 7d"),
    ("routes:\n  a:\n    after_change: [366d]", 3, "at most 365d"),
    ("routes:\n  a:\n    notify: [nope]", 3, "routes.a.notify[0]: no receiver nope"),
    (
        "routes:\n  a:\n    baseline:\n      size: 200",
        3,
        "min_size: 300 is above size 200; lower min_size or raise size",
    ),
    ("routes:\n  a:\n    baseline: {size: 10}", 3, "greater than or equal to 50"),
    ("routes:\n  a:\n    baseline: {size: 1e3}", 3, "must be a whole number, without quotes"),
    ("routes:\n  A/prod:\n    slices: []", 2, "a route pattern is 1-200 characters"),
    ("routes:\n  a: {}\n  a: {}", 3, "routes.a: written twice, first in line 2; keep one"),
    ("routes:\n  3: {}\n  [1]: {}", 3, "a key must be text"),
    ("routes: [a]", 1, "routes: must be a mapping"),
    ("- routes", 1, "must be a mapping"),
    ("routes:\n  a:\n    target: {model: m}", 3, "routes.a.target.url: is missing here"),
    ("routes:\n  a:\n    target: {url: example.com, model: m}", 3, "must be a URL such as https://"),
    ("routes:\n  a:\n    target: {url: 'file:///etc/passwd', model: m}", 3, "must be a URL such as https://"),
    ("routes:\n  a:\n    target: {url: 'http://h:x', model: m}", 3, "must be a URL such as https://"),
    ("routes:\n  a:\n    target: {url: 'https://u:p@h/', model: m}", 3, "must not hold user or password"),
    ("routes:\n  a:\n    target: {url: 'https://h', model: m, api_key: x}", 3, "secret in clear"),
    (
        "routes:\n  a:\n    target: {url: 'https://h', model: m, api_key_env: openai}",
        3,
        "NAME of an environment variable",
    ),
    ("routes:\n  a:\n    target: {url: 'https://h', model: m, settings: {password: x}}", 3, "secret in clear"),
    *(
        (f"routes:\n  a:\n    target: {{url: 'https://h/v1', model: m, {wrong}}}", 3, words)
        for wrong, words in (
            ("api: converse", "api: must be 'chat_completions', 'responses' or 'messages'"),
            ("settings: {stream: true}", "settings.stream: is not a setting of a target; remove it"),
            ("api: messages, settings: {system: x}", "settings.system: is not a setting of a target"),
            ("api: responses, settings: {instructions: x}", "settings.instructions: is not a setting of a target"),
            ("settings: {tools: x}", "settings.tools: must be a list of tools"),
            ("headers: {Content-Length: '3'}", "follows from the request and is set by Keelwatch; remove it"),
            ("headers: {host: other}", "follows from the request"),
            ("headers: {Cookie: a=b}", "follows from the request"),
            ("headers: {Transfer-Encoding: chunked}", "is a header of the connection, not of the request"),
            ("headers: {TE: trailers}", "is a header of the connection"),
            ("headers: {a b: c}", "must be the name of a header"),
            ("headers: {X-A: 7}", "must be text in quotes, or {env: NAME}"),
            ("headers: {X-A: {env: low}}", "with the NAME of an environment variable in capitals"),
            ("headers: {X-A: {env: A, b: c}}", "must be text, or {env: NAME}"),
            ('headers: {X-A: "a\\nB: c"}', "must be 1 to 4,000 printable ASCII characters"),
            ("headers: {X-A: a, x-a: b}", "names x-a twice, in upper and lower case; keep one"),
            ("headers: {api-key: abc}", "write {env: NAME} here"),
            ("headers: {Ocp-Apim-Subscription-Key: abc}", "write {env: NAME} here"),
            ("headers: {Authorization: Bearer abcdefgh}", "write {env: NAME} here"),
            ("headers: {X-Team: 8f3kPq0ZxT1mWb7YdN5c}", "write {env: NAME} here"),
            ("query: {key: abc}", "write {env: NAME} here"),
            ("query: {sig: 8f3kPq0ZxT1mWb7YdN5c}", "write {env: NAME} here"),
            ("query: {a b: c}", "must be the name of a query parameter"),
            ("api_key_env: A, headers: {authorization: {env: B}}", "is where the key of api_key_env is sent"),
            ("api: messages, api_key_env: A, headers: {X-Api-Key: {env: B}}", "is where the key of api_key_env"),
        )
    ),
    ("routes:\n  a:\n    target: {url: 'https://h/v1?a=b', model: m}", 3, "write what follows the ? under query"),
    ("routes:\n  a:\n    target: {url: 'https://h/v1#a', model: m}", 3, "must not hold a #"),
    ("allow_hosts:\n  - 'sk-abcdefghijklmnopqrst'", 2, "a secret in clear"),
    ("allow_hosts: [1]", 1, "allow_hosts[0]: must be text"),
    ("routes:\n  a:\n    schedules:\n      - {name: w, cron: '0 6 * *'}", 4, "cron needs 5 fields"),
    ("routes:\n  a:\n    schedules:\n      - {name: w, cron: '0 6 31 2 *'}", 4, "never comes"),
    (
        "routes:\n  a:\n    schedules:\n      - {name: w, cron: '0 6 * * 1', timezone: Europe/Berln}",
        4,
        "did you mean Europe/Berlin?",
    ),
    (
        "routes:\n  a:\n    schedules:\n      - {name: w, cron: '0 6 * * 1', timezone: ../../etc/passwd}",
        4,
        "not an IANA time zone",
    ),
    ("routes:\n  a:\n    schedules:\n      - {cron: '0 6 * * 1'}", 4, "routes.a.schedules[0].name: is missing here"),
    (
        "routes:\n  a:\n    schedules:\n      - {name: w, cron: '0 6 * * 1'}\n      - {name: w, cron: '0 7 * * 1'}",
        5,
        "a second schedule w; names must differ",
    ),
    ("ingest:\n  - {route: a, match: {}}", 2, "ingest[0].match: name at least one fact"),
    ("ingest:\n  - {route: A, match: {model: x}}", 2, "ingest[0].route"),
    ("ingest:\n  - {match: {model: x}}", 2, "ingest[0].route: is missing here"),
    ("ingest:\n  - {route: a, match: {model: 4}}", 2, "ingest[0].match.model: must be text"),
    ("ingest:\n  - {route: a, match: {'a b': x}}", 2, "must be a name such as format, model"),
    ("ingest:\n  - {route: a, matches: {model: x}}", 2, "did you mean match?"),
    ("deployments:\n  - {route: a, match: {}}", 2, "deployments[0].match: name at least one of repository"),
    ("deployments:\n  - {route: A, match: {environment: p}}", 2, "deployments[0].route"),
    ("deployments:\n  - {match: {environment: p}}", 2, "deployments[0].route: is missing here"),
    ("deployments:\n  - {route: a, match: {repository: bot}}", 2, "deployments[0].match.repository"),
    ("deployments:\n  - {route: a, match: {environment: p}, at: done}", 2, "deployments[0].at"),
    ("deployments:\n  - {route: a, match: {enviroment: p}}", 2, "did you mean environment"),
    ("github_secret_env: my-secret", 1, "github_secret_env"),
    ("a: [", 1, "not YAML"),
    ("routes:\n\ta: 1", 2, "not YAML"),
    ("a: 1\n---\nb: 2", 2, "not YAML"),
    ("routes: &x {}\nreceivers: *x", 2, "aliases (*name) are not supported"),
    ("defaults: &a\n  <<: *a", 2, "supported"),
    ("routes: !!python/object/apply:os.system [id]", 1, "tags (!name) are not supported"),
    ("allow_hosts:\n  - !secret x", 2, "not supported"),
]


@pytest.mark.parametrize(("text", "line", "words"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_named_with_line_and_remedy(text: str, line: int, words: str) -> None:
    assert_named(text, line, words)


def assert_named(text: str, line: int, words: str) -> None:
    """A mistake is told with its line and these words, and no secret with it."""
    monitor, problems = examine(text, "k.yaml")
    errors = [problem for problem in problems if problem.severity == "error"]
    assert monitor is None
    assert any(str(problem).startswith(f"k.yaml:{line}: error: ") and words in str(problem) for problem in errors), (
        errors
    )
    assert not any("xoxb" in str(problem) or "sk-a" in str(problem) for problem in errors)


def test_all_mistakes_are_told_at_once_and_by_line(tmp_path: Path) -> None:
    path = tmp_path / "keelwatch.yaml"
    path.write_text("defaluts: {}\nroutes:\n  a:\n    floors: {refusl: 1}\n    embed_share: 2\n")
    with pytest.raises(MonitorError) as caught:
        load(path)
    assert isinstance(caught.value, InputError)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["1", "4", "5"]
    assert all(line.startswith(str(path)) for line in lines)
    assert check(path) == caught.value.problems


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("routes:\n  a:\n    floors: {novelty: 0.02}", "no scorer provides it in this version"),
        ("routes:\n  a:\n    after_change: [1h]", "needs a target"),
        ("routes:\n  a:\n    target: {url: 'http://127.0.0.1:9/v1', model: m}", "list it under allow_hosts"),
        ("routes:\n  a:\n    target: {url: 'http://localhost/v1', model: m}", "list localhost under allow_hosts"),
        ("routes:\n  a:\n    target: {url: 'https://llm.internal/v1', model: m}", "list it under allow_hosts"),
        ("routes:\n  a:\n    target: {url: 'http://api.example.com/v1', model: m}", "only https is called"),
        ("routes:\n  a:\n    target: {url: 'https://api.example.com:22/v1', model: m}", "only the ports 443 and 8443"),
        ("routes:\n  a:\n    target: {url: 'http://[::1]/v1', model: m}", "list it under allow_hosts"),
        ("receivers:\n  a: {webhook: {url: 'https://hooks.internal/x', secret_env: A}}", "list it under allow_hosts"),
        ("receivers:\n  a: {pagerduty: {url: 'http://p.example/x', routing_key_env: A}}", "only https is called"),
    ],
)
def test_warnings_do_not_stop_the_file(text: str, words: str) -> None:
    monitor, problems = examine(text, "k.yaml")
    assert monitor is not None
    assert any(words in problem.message and problem.severity == "warning" for problem in problems)


def test_a_system_prompt_is_looked_for_beside_the_monitor_file(tmp_path: Path) -> None:
    for named, found in (("prompts/a.txt", f"{tmp_path}/prompts/a.txt"), ("/etc/a.txt", "/etc/a.txt")):
        target = f"{{url: 'https://api.example.com/v1', model: m, system_prompt_file: {named}}}"
        (path := tmp_path / "keelwatch.yaml").write_text(f"routes:\n  a:\n    target: {target}\n", encoding="utf-8")
        assert load(path).policy("a").target.system_prompt_file == found


def test_a_target_says_its_api_its_headers_and_its_query() -> None:
    text = """\
routes:
  a:
    target:
      url: https://h.example.com/openai/deployments/d
      model: m
      headers: {api-key: {env: AZURE_KEY}, X-Title: Safety suites, anthropic-beta: context-1m-2025-08-07}
      query: {api-version: 2024-10-21}
"""
    assert said(text) == []
    target = policy(text, "a").target
    assert target is not None
    assert target.api == "chat_completions"
    assert target.headers == {
        "api-key": FromEnvironment("AZURE_KEY"),
        "X-Title": "Safety suites",
        "anthropic-beta": "context-1m-2025-08-07",
    }
    assert target.query == {"api-version": "2024-10-21"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Title", "Support bot of the safety team, 2026"),
        ("HTTP-Referer", "https://safety.example.com/suites/core-wide/2026-11-30"),
        ("OpenAI-Organization", "org-Ab3dEf6hIj9kLm2nOp5qRs8t"),
        ("anthropic-version", "2023-06-01"),
        ("x-goog-user-project", "my-project-123456"),
        ("X-Amzn-Bedrock-GuardrailVersion", "1"),
        ("x-portkey-provider", "azure-openai"),
        ("api-version", "2025-01-01-preview"),
        ("max-tokens", "4096"),
    ],
)
def test_ordinary_headers_are_no_keys(name: str, value: str) -> None:
    assert not looks_like_key(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Anything", "sk-ant-api03-a1B2c3D4e5F6g7H8"),
        ("X-Anything", "0123456789abcdef0123456789abcdef"),
        ("X-Anything", "550e8400-e29b-41d4-a716-446655440000"),
        ("X-Anything", "Token 8f3kPq0ZxT1mWb7YdN5c"),
        ("x-portkey-api-key", "a"),
        ("cf-access-client-secret", "a"),
        ("Helicone-Auth", "a"),
        ("cf-aig-authorization", "a"),
        ("subscription-key", "a"),
        ("X-Auth-Token", "a"),
        ("access_token", "a"),
    ],
)
def test_keys_are_known_by_their_names_and_by_their_chance(name: str, value: str) -> None:
    assert looks_like_key(name, value)


def test_an_allowed_private_host_is_no_warning() -> None:
    text = "allow_hosts: [127.0.0.1]\nroutes:\n  a:\n    target: {url: 'http://127.0.0.1:9/v1', model: m}"
    assert not any("allow_hosts" in line for line in said(text))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"a: \x00", "not YAML"),
        (b"#" * (MAX_BYTES + 1), "larger than 1 MiB"),
        (b"[" * 5000, "levels deep"),
        (b'{"a":' * 20 + b"1" + b"}" * 20, "levels deep"),
        (b"allow_hosts: [" + b"1" * 5000 + b"]", "not a value"),
    ],
)
def test_files_that_are_no_monitor_file(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "keelwatch.yaml"
    path.write_bytes(content)
    with pytest.raises(MonitorError, match=words):
        load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MonitorError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")
    assert "cannot be read: Is a directory; container engines make a folder" in check(tmp_path)[0].message


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "keelwatch.yaml"
    path.write_bytes(b"\xef\xbb\xbfallow_hosts: [a]\n")
    assert load(path).allow_hosts == ("a",)


@given(st.text())
def test_any_text_is_a_monitor_or_problems(text: str) -> None:
    monitor, problems = examine(text, "k.yaml")
    assert (monitor is None) == any(problem.severity == "error" for problem in problems)


@given(st.data())
def test_a_mutated_file_is_a_monitor_or_problems(data: st.DataObject) -> None:
    text = CONTRACT
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text)))
        new = data.draw(
            st.sampled_from(["", "\n", ":", " ", "- ", "[", "}", "&a ", "*a", "!!x ", "1", "null", '"', "#", "\t"])
        )
        text = text[:at] + new + text[at + data.draw(st.integers(0, 4)) :]
    monitor, problems = examine(text, "k.yaml")
    assert (monitor is None) == any(problem.severity == "error" for problem in problems)
    assert all(problem.line is None or 1 <= problem.line <= text.count("\n") + 1 for problem in problems)


def test_deployments_say_which_deploys_are_changes_of_which_route() -> None:
    text = """\
deployments:
  - {match: {repository: acme/bot, environment: production}, route: bot/prod, model: gpt-4}
  - {match: {task: deploy:canary}, route: bot/canary, at: created}
github_secret_env: GITHUB_SECRET
"""
    monitor, problems = examine(text, "k.yaml")
    assert (problems, monitor is not None) == ((), True)
    assert monitor is not None
    first, second = monitor.deployments
    assert (first.route, first.model, first.at) == ("bot/prod", "gpt-4", "success")
    assert first.fits("ACME/Bot", "Production", "deploy")
    assert not first.fits("acme/bot", "staging", "deploy")
    assert not first.fits("acme/bot", None, None)
    assert (second.fits(None, None, "deploy:canary"), second.at) == (True, "created")
    assert monitor.github_secret_env == "GITHUB_SECRET"
