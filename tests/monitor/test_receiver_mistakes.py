"""Mistakes in the receivers of a monitor file: each with line and remedy, and no secret is repeated."""

from __future__ import annotations

import pytest

from tests.monitor.test_monitor_file import assert_named

MISTAKES = [
    (
        "receivers:\n  s:\n    slack:\n      channel: '#a'\n      token: xoxb-1-2",
        5,
        "receivers.s.slack.token: a secret in clear",
    ),
    ("receivers:\n  s:\n    slack:\n      channel: '#a'\n      token_env: xoxb-1-2", 5, "a secret in clear"),
    (
        "receivers:\n  s:\n    slack:\n      channel: '#a'\n      webhook_url:",
        5,
        "name the variable in webhook_url_env",
    ),
    ("receivers:\n  s:\n    slack:\n      channel: #a\n      token_env: A", 4, "a Slack channel in quotes"),
    ("receivers:\n  s:\n    telex: {to: a}", 3, "receivers.s.telex: unknown key"),
    ("receivers:\n  s: {severity: error}", 2, "receivers.s: give exactly one of slack, webhook"),
    (
        "receivers:\n  s:\n    pagerduty: {routing_key_env: A}\n    slack: {channel: '#a', token_env: A}",
        2,
        "receivers.s: give exactly one of slack, webhook",
    ),
    ("receivers:\n  s:\n    severity: loud\n    pagerduty: {routing_key_env: A}", 3, "must be 'info', 'warning'"),
    ("receivers:\n  s:\n    pagerduty: {routing_key: R0}", 3, "receivers.s.pagerduty.routing_key: a secret in clear"),
    ("receivers:\n  s:\n    pagerduty: {routing_keys_env: A}", 3, "did you mean routing_key_env?"),
    ("receivers:\n  s:\n    webhook: {secret_env: A}", 3, "give either url or url_env"),
    ("receivers:\n  s:\n    webhook: {url: 'https://h/x', url_env: B, secret_env: A}", 3, "give either url or url_env"),
    ("receivers:\n  s:\n    webhook: {url: 'ftp://h/x', secret_env: A}", 3, "must be a URL such as"),
    ("receivers:\n  s:\n    webhook: {url: 'https://h/x', secret_env: sh-h}", 3, "must be the NAME of an environment"),
    (
        "receivers:\n  s:\n    webhook: {url: 'https://h/x', secret_env: A, headers: {X-Api-Key: abc}}",
        3,
        "write {env: NAME} here",
    ),
]


@pytest.mark.parametrize(("text", "line", "words"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_of_a_receiver_is_named_with_line_and_remedy(text: str, line: int, words: str) -> None:
    assert_named(text, line, words)
