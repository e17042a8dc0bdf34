"""The environment: names, defaults, and what is said of a bad value."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from services.settings import MOST_SECRET, SettingsError, in_files, load_settings, secret


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("KEELWATCH_"):
            monkeypatch.delenv(name)


def test_defaults_need_no_variable() -> None:
    settings = load_settings()
    assert settings.config is None
    assert settings.kafka_bootstrap is None
    assert settings.database == f"sqlite:///{settings.data_dir / 'keelwatch.db'}"


def test_names_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "CONFIG": "k.yaml",
        "DATA_DIR": "/data",
        "INSTANCE": "w-1",
        "KAFKA_BOOTSTRAP": "a:9092,b:9092",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_USERNAME": "u",
        "KAFKA_PASSWORD": "hidden-1",
        "KAFKA_CA_FILE": "ca.pem",
        "KAFKA_CERTIFICATE_FILE": "own.pem",
        "KAFKA_KEY_FILE": "own.key",
        "KAFKA_KEY_PASSWORD": "hidden-7",
        "KAFKA_TOKEN_FILE": "token",
        "KAFKA_TOKEN_URL": "https://issuer.example/token/",
        "KAFKA_TOKEN_CLIENT_ID": "c",
        "KAFKA_TOKEN_CLIENT_SECRET": "hidden-8",
        "KAFKA_TOKEN_SCOPE": "kafka",
        "KAFKA_TOKEN_CA_FILE": "issuer.pem",
        "KAFKA_TOKEN_EXTENSIONS": "logicalCluster=lkc-1",
        "DATABASE_URL": "postgresql://u:p@h/d",
        "SLACK_TOKEN": "hidden-2",
        "SLACK_CHANNEL": "#c",
        "SLACK_WEBHOOK_URL": "hidden-3",
        "SLACK_SIGNING_SECRET": "hidden-4",
        "SLACK_API_URL": "http://127.0.0.1:9/",
        "API_URL": "http://127.0.0.1:8400",
        "API_KEY": "hidden-5",
        "API_KEY_FILE": "key",
        "PUBLIC_URL": "https://keelwatch.example",
        "PUBLIC_BOOTSTRAP": "kafka.example:9093",
        "TRUSTED_PROXIES": "10.0.0.7",
        "EMBEDDER": "openvino",
        "CACHE_DIR": "cache",
        "WEBHOOK_GITHUB_SECRET": "hidden-6",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"KEELWATCH_{name}", value)
    settings = load_settings()
    assert settings.config == Path("k.yaml")
    assert settings.database == "postgresql://u:p@h/d"
    assert settings.slack_api_url == "http://127.0.0.1:9"
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "hidden-5"
    assert "hidden" not in repr(settings)
    assert set(values) == {name.upper() for name in type(settings).model_fields}


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEELWATCH_DATABASE_URL", "")
    assert load_settings().database_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://secret@h/d"),
        ("KAFKA_BOOTSTRAP", "secret"),
        ("KAFKA_BOOTSTRAP", "secret:99999"),
        ("KAFKA_SECURITY_PROTOCOL", "secret"),
        ("API_URL", "secret"),
        ("INSTANCE", "secret value"),
        ("KAFKA_SASL_MECHANISM", "secret"),
        ("KAFKA_TOKEN_URL", "secret"),
        ("KAFKA_TOKEN_URL", "http://secret.example/token"),
        ("KAFKA_TOKEN_URL", "http://10.0.0.7/secret"),
        ("KAFKA_TOKEN_URL", "http://127.0.0.1.secret.example/token"),
        ("KAFKA_TOKEN_URL", "http://[::1/secret"),
        ("KAFKA_TOKEN_EXTENSIONS", "secret"),
        ("KAFKA_TOKEN_EXTENSIONS", "auth=secret"),
    ],
)
def test_a_bad_value_is_named_without_being_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"KEELWATCH_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"KEELWATCH_{name}: must be ")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "127.9.9.9:1", "[::1]:8080"])
def test_a_token_endpoint_of_this_machine_may_be_asked_in_the_clear(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("KEELWATCH_KAFKA_TOKEN_URL", f"http://{host}/token/")
    assert load_settings().kafka_token_url == f"http://{host}/token/"


def test_every_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert set(in_files()) >= {"database_url", "kafka_password", "slack_token", "api_key", "kafka_token_client_secret"}
    for name in in_files():
        value = "postgresql://u:p@h/d" if name == "database_url" else f" {name} with ends "
        (tmp_path / name).write_text(f"{value}\r\n")
        monkeypatch.setenv(f"KEELWATCH_{name.upper()}_FILE", str(tmp_path / name))
    settings = load_settings()
    assert settings.database == "postgresql://u:p@h/d"
    assert settings.shown_key() == (f"KEELWATCH_API_KEY_FILE: {tmp_path / 'api_key'}", "api_key with ends")
    for name in set(in_files()) - {"database_url", "api_key"}:
        assert getattr(settings, name).get_secret_value() == f" {name} with ends "


@pytest.mark.parametrize("name", [name for name in in_files() if name != "api_key"])
def test_a_secret_that_stands_in_two_places_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("hidden")
    variable = f"KEELWATCH_{name.upper()}"
    monkeypatch.setenv(variable, "sqlite:///hidden")
    monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / "file"))
    with pytest.raises(SettingsError, match=f"^{variable}_FILE: {variable} is set too; set one of the two$"):
        load_settings()


def test_the_file_of_the_first_key_is_no_second_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """KEELWATCH_API_KEY is what commands send; the file also seeds the first key."""
    (tmp_path / "file").write_text("of the file")
    monkeypatch.setenv("KEELWATCH_API_KEY_FILE", str(tmp_path / "file"))
    monkeypatch.setenv("KEELWATCH_API_KEY", "of the variable")
    assert load_settings().shown_key() == ("KEELWATCH_API_KEY", "of the variable")


@pytest.mark.parametrize("kind", ["absent", "folder", "empty"])
def test_the_file_of_the_first_key_keeps_nobody_from_starting_who_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "file"
    file.mkdir() if kind == "folder" else file.touch() if kind == "empty" else None
    monkeypatch.setenv("KEELWATCH_API_KEY_FILE", str(file))
    settings = load_settings()
    assert settings.shows_key
    with pytest.raises(SettingsError, match=f"^KEELWATCH_API_KEY_FILE: {re.escape(str(file))} .*; "):
        settings.shown_key()
    monkeypatch.delenv("KEELWATCH_API_KEY_FILE")
    assert (load_settings().shows_key, load_settings().shown_key()) == (False, None)


@pytest.mark.parametrize("kind", ["absent", "folder", "empty", "large", "binary"])
def test_files_of_secrets_that_cannot_be_used_are_all_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "file"
    content = {"empty": b"\n", "large": b"hidden" * MOST_SECRET, "binary": b"hidden\xff"}
    if kind == "folder":  # what a container engine makes of a file that is not there
        file.mkdir()
    elif kind != "absent":
        file.write_bytes(content[kind])
    for name in ("KAFKA_PASSWORD", "SLACK_TOKEN"):
        monkeypatch.setenv(f"KEELWATCH_{name}_FILE", str(file))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["KEELWATCH_KAFKA_PASSWORD_FILE", "KEELWATCH_SLACK_TOKEN_FILE"]
    assert all(str(file) in line and "; " in line and "hidden" not in line for line in lines)


def test_a_variable_that_the_monitor_file_names_may_stand_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert secret("OPENAI_API_KEY") is None
    (tmp_path / "key").write_text("sk-1\n")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))
    assert secret("OPENAI_API_KEY") == "sk-1"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-2")
    with pytest.raises(SettingsError, match="OPENAI_API_KEY is set too"):
        secret("OPENAI_API_KEY")
