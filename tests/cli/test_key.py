"""`keelwatch key`: a key is shown once, listed without its secret, and ended."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from services.api.app import make
from services.api.auth.api_key import Secret, parse_key
from services.api.auth.authentication import Authenticator
from services.errors import InputError
from services.settings import Settings
from services.store import api_keys
from services.store.api_keys import ApiKeyRow
from services.store.engine import open_database
from services.store.tables import table
from services.wiring import has_keys
from tests.support.access import answers, bearer
from tests.support.api import Wire, api_on
from tests.support.databases import new_url

__all__ = ["new_url"]


def created(keelwatch, *words: str) -> Secret:
    code, said, told = keelwatch("key", "create", *words)
    assert (code, "not shown again" in told) == (0, True), told
    key = parse_key(said.strip())
    assert key is not None
    return key


def test_a_key_is_shown_once_and_only_its_hash_is_kept(keelwatch, tmp_path: Path) -> None:
    assert keelwatch("key", "list", "--database", f"sqlite:///{tmp_path}/none.db")[0] == 2
    key = created(
        keelwatch, "--name", "mara", "--role", "operator", "--routes", "b/*", "--routes", "a", "--expires", "90d"
    )
    code, listed, _ = keelwatch("key", "list", "--json", "-")
    [one] = json.loads(listed)
    assert code == 0
    kept = {"id": key.id, "name": "mara", "role": "operator", "routes": ["a", "b/*"], "state": "active", "used": None}
    assert {name: one[name] for name in kept} == kept
    assert set(one) == {*kept, "created", "expires", "revoked"}
    shown = keelwatch("key", "list")[1]
    assert ("mara" in shown, key.secret in shown + listed, key.digest in shown + listed) == (True, False, False)
    bytes_of_all = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert (key.digest.encode() in bytes_of_all, key.secret.encode() in bytes_of_all) == (True, False)


def test_a_key_is_revoked_for_good_also_when_the_whole_key_is_pasted(keelwatch) -> None:
    first = created(keelwatch, "--name", "a", "--role", "admin")
    assert keelwatch("key", "create", "--name", "a", "--role", "viewer")[0] == 2
    assert keelwatch("key", "revoke", first.id)[1] == f"a ({first.id}) is revoked\n"
    code, said, told = keelwatch("key", "revoke", first.text)
    assert (code, said, first.secret in said + told) == (0, f"a ({first.id}) was revoked already\n", False)
    created(keelwatch, "--name", "a", "--role", "viewer")
    assert [one["state"] for one in json.loads(keelwatch("key", "list", "--json", "-")[1])] == ["revoked", "active"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "--name", "", "--role", "viewer"), "--name: must be"),
        (("create", "--name", "a", "--role", "root"), "--role 'root': must be one of"),
        (("create", "--name", "a", "--role", "viewer", "--routes", "A b"), "--routes 'A b': must be of"),
        (("create", "--name", "a", "--role", "viewer", "--expires", "soon"), "--expires 'soon': must be a number"),
        (("revoke", "0123456789abcdef"), "key 0123456789abcdef: not in this database; `keelwatch key list`"),
        (("revoke", "kw_x_" + "f" * 63), "key ID: not in this database"),
    ],
)
def test_what_cannot_be_used_is_named_with_the_remedy(keelwatch, words: tuple[str, ...], said: str) -> None:
    created(keelwatch, "--name", "first one", "--role", "admin")
    code, _, told = keelwatch("key", *words)
    assert (code, said in told, told.count("\n")) == (2, True, 1)


def test_commands_send_their_key_and_say_when_it_is_none(keelwatch, monkeypatch) -> None:
    monkeypatch.setenv("KEELWATCH_API_KEY", "hunter2")
    code, _, told = keelwatch("change", "announce", "a", "--model", "m", "--reason", "r")
    assert (code, told.startswith("keelwatch: KEELWATCH_API_KEY: is no key;"), "hunter2" in told) == (2, True, False)


def test_replicas_that_start_at_once_seed_one_key(new_url, tmp_path: Path) -> None:
    url = new_url()
    open_database(url).close()
    text = f"kw_{'ab' * 8}_{'cd' * 32}"
    (tmp_path / "key").write_text(text + "\n")
    settings = Settings(database_url=url, api_key_file=tmp_path / "key", data_dir=tmp_path)
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(has_keys(settings))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4
    opened = open_database(url)
    with opened.read() as connection:
        [row] = connection.execute(select(table(ApiKeyRow))).all()
    assert (row.id, row.role, row.routes, row.name) == ("ab" * 8, "admin", '["*"]', "first")
    app = make(api_on(opened, Wire(), door=Authenticator(opened)))
    assert answers(app, [("GET", "/v1/incidents", {"headers": bearer(text)})])[0].status_code == 200
    with opened.write() as connection:
        api_keys.revoke(connection, "ab" * 8, row.created)
    has_keys(settings)
    with opened.read() as connection:
        assert connection.execute(select(table(ApiKeyRow).c.revoked)).scalar_one() is not None
    opened.close()


def test_a_file_seeds_nothing_beside_other_keys(keelwatch, tmp_path: Path, capsys) -> None:
    key = created(keelwatch, "--name", "a", "--role", "viewer")
    (tmp_path / "key").write_text(f"kw_{'ab' * 8}_{'cd' * 32}")
    url = f"sqlite:///{tmp_path}/data/keelwatch.db"
    assert has_keys(Settings(database_url=url, api_key_file=tmp_path / "key", data_dir=tmp_path))
    assert "seeds only the first key" in capsys.readouterr().err
    assert [one["id"] for one in json.loads(keelwatch("key", "list", "--json", "-")[1])] == [key.id]


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (None, None, "cannot be read"),
        ("hunter2", 0o600, "holds no key"),
        ("", 0o600, "holds no key"),
        (f"kw_{'ab' * 8}_{'cd' * 32}", 0o666, "may be written by everybody; chmod 600"),
    ],
)
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, text: str | None, mode: int | None, said: str) -> None:
    path = tmp_path / "key"
    if text is not None:
        path.write_text(text)
        path.chmod(mode or 0)
    url = f"sqlite:///{tmp_path}/kw.db"
    with pytest.raises(InputError, match=rf"^KEELWATCH_API_KEY_FILE: {re.escape(str(path))} .*{said}") as caught:
        has_keys(Settings(database_url=url, api_key_file=path, data_dir=tmp_path))
    assert "hunter2" not in str(caught.value)
