"""The environment: names, defaults, and what is said of a bad value."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.settings import SettingsError, load_settings


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
    ],
)
def test_a_bad_value_is_named_without_being_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"KEELWATCH_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"KEELWATCH_{name}: must be ")
    assert "secret" not in str(caught.value)
