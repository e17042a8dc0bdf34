"""Keys, roles and routes: what may be written for them, and what they are worth."""

from __future__ import annotations

import ast
import inspect
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.auth import api_key as keys
from services.api.auth.api_key import (
    GRANTS,
    NO_DIGEST,
    digest,
    globs_of,
    key_state,
    lifetime_of,
    may,
    name_of,
    new_key,
    parse_key,
    proves,
    role_of,
    sees,
)
from services.errors import InputError

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ROLES = ("ingest", "viewer", "operator", "admin")


@given(st.binary(min_size=40, max_size=40))
def test_a_key_is_read_as_it_was_written_and_does_not_show_itself(chance: bytes) -> None:
    secret = new_key(chance)
    assert parse_key(secret.text) == secret
    assert len(secret.secret) * 4 == 256
    assert secret.secret not in repr(secret)
    assert proves(secret.secret, secret.digest)


@given(st.text())
def test_other_text_is_no_key(text: str) -> None:
    assert parse_key(text) is None
    assert not proves(text, None)
    assert not proves(text, NO_DIGEST)


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t + "0", lambda t: t[:-1], lambda t: t + "\n", lambda t: "x" + t]
)
def test_a_key_that_is_not_whole_is_none(change) -> None:
    assert parse_key(change(new_key(bytes(range(40))).text)) is None


def test_a_secret_is_compared_in_constant_time_and_an_unknown_id_takes_the_same_work(monkeypatch) -> None:
    """In its structure: one hash, one comparison that does not end early, whatever is stored; no `==` of secrets."""
    compared, hashed = [], []
    real = keys.hmac.compare_digest
    monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b: compared.append((len(a), len(b))) or real(a, b))
    monkeypatch.setattr(keys, "digest", lambda secret: hashed.append(len(secret)) or digest(secret))
    for stored in (digest("a" * 64), digest("b" * 64), None):
        proves("a" * 64, stored)
    assert compared == [(64, 64)] * 3
    assert hashed == [64] * 3
    tree = ast.parse(inspect.getsource(proves))
    assert not [one for one in ast.walk(tree) if isinstance(one, ast.Compare) and isinstance(one.ops[0], ast.Eq)]


def test_roles_may_what_they_may_and_nothing_else() -> None:
    table = {role: [needed for needed in ROLES if may(role, needed)] for role in ROLES}
    assert table == {
        "ingest": ["ingest"],
        "viewer": ["viewer"],
        "operator": ["viewer", "operator"],
        "admin": list(ROLES),
    }
    assert set(GRANTS) == set(ROLES)


@pytest.mark.parametrize(
    ("globs", "route", "seen"),
    [
        (["*"], "a/b", True),
        (["a/*"], "a/b/c", True),
        (["a/*"], "a", False),
        (["a/*"], "ba/x", False),
        (["a"], "a", True),
        (["a", "b*"], "b_x", True),
        (["a_b"], "axb", False),
        ([], "a", False),
    ],
)
def test_a_glob_is_of_the_whole_route(globs: list[str], route: str, seen: bool) -> None:
    assert sees(globs, route) is seen


@pytest.mark.parametrize("glob", ["", "A", "a b", "[ab]", "a?", "a%", "é", "a\n", "x" * 201])
def test_a_glob_that_fits_no_route_is_refused(glob: str) -> None:
    with pytest.raises(InputError, match=r"^--routes .*such as"):
        globs_of([glob])


def test_without_globs_a_key_sees_everything() -> None:
    assert globs_of([]) == ("*",)
    assert globs_of(["b", "a", "b"]) == ("a", "b")


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1y", "1.5d", "3651d", "99999d", "٣d", " 1d"])
def test_a_lifetime_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="such as 90d"):
        lifetime_of(text)


def test_a_lifetime_is_of_hours_days_or_weeks() -> None:
    assert [lifetime_of(text) for text in ("36h", "90d", "2w")] == [
        timedelta(hours=36),
        timedelta(days=90),
        timedelta(days=14),
    ]


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb", "a\u202eb", "\0"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^--name: must be"):
        name_of(name)


def test_names_and_roles_are_taken_as_people_write_them() -> None:
    assert (name_of(" Zoë @ on-call "), role_of("viewer")) == ("Zoë @ on-call", "viewer")
    with pytest.raises(InputError, match="--role 'root': must be one of ingest, viewer, operator, admin"):
        role_of("root")


def test_a_key_ends_at_its_time_and_stays_revoked() -> None:
    hour = timedelta(hours=1)
    assert key_state(None, None, NOW) == "active"
    assert (key_state(NOW + hour, None, NOW), key_state(NOW, None, NOW)) == ("active", "expired")
    assert key_state(NOW - hour, NOW, NOW) == "revoked"
