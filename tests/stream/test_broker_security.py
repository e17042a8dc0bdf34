"""What settings of security contradict each other, and what is said of files of certificates and keys."""

from __future__ import annotations

from pathlib import Path

import faust
import pytest

from services.settings import Settings
from services.stream.broker import Broker, options
from services.stream.broker_security import BrokerError, Security, security_of
from services.stream.oauth_tokens import OAuthTokens
from tests.support.authorities import authority

TOKENS = {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}
ENDPOINT = TOKENS | {"token_url": "https://i/t", "token_client_id": "c", "token_client_secret": "hidden"}


def security(**fields: object) -> Security:
    return security_of(Settings.model_validate({f"kafka_{name}": value for name, value in fields.items()}))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"certificate_file": "c.pem"}, "KEELWATCH_KAFKA_CERTIFICATE_FILE"),
        ({"security_protocol": "SSL", "key_file": "k.pem"}, "set KEELWATCH_KAFKA_CERTIFICATE_FILE"),
        ({"security_protocol": "SSL", "key_password": "hidden"}, "set KEELWATCH_KAFKA_CERTIFICATE_FILE"),
        ({"security_protocol": "SSL", "sasl_mechanism": "OAUTHBEARER"}, "KEELWATCH_KAFKA_SASL_MECHANISM"),
        (TOKENS, "KEELWATCH_KAFKA_TOKEN_FILE or KEELWATCH_KAFKA_TOKEN_URL"),
        (ENDPOINT | {"token_file": "t"}, "not both"),
        (ENDPOINT | {"token_client_secret": None}, "KEELWATCH_KAFKA_TOKEN_CLIENT_SECRET"),
        (ENDPOINT | {"token_client_id": None}, "KEELWATCH_KAFKA_TOKEN_CLIENT_ID"),
        (ENDPOINT | {"username": "u"}, "unset KEELWATCH_KAFKA_USERNAME"),
        (TOKENS | {"token_file": "t", "token_scope": "s"}, "KEELWATCH_KAFKA_TOKEN_SCOPE is unused"),
        ({"token_file": "t"}, "KEELWATCH_KAFKA_TOKEN_FILE is unused"),
        ({"security_protocol": "SASL_SSL"}, "OAUTHBEARER and a token"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(fields: dict[str, str], named: str) -> None:
    with pytest.raises(BrokerError) as refused:
        security(**fields)
    assert named in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_tokens_go_to_every_client() -> None:
    given = options(Broker("h:1", security=security(**ENDPOINT, token_extensions="a=1, b=x=2")))
    credentials = given.faust["broker_credentials"]
    assert isinstance(credentials, faust.OAuthCredentials)
    assert credentials.protocol.value == "SASL_SSL"
    for one in (given.admin, given.producer, given.consumer):
        tokens = one["sasl_oauth_token_provider"]
        assert isinstance(tokens, OAuthTokens)
        assert tokens is credentials.oauth_cb
        assert dict(tokens.extensions()) == {"a": "1", "b": "x=2"}
        assert "sasl_plain_username" not in one


def test_a_certificate_of_ours_is_shown_with_and_without_a_password(tmp_path: Path) -> None:
    signer = authority(tmp_path, "authority")
    sealed, bare = signer.signed("sealed", password="hidden"), signer.signed("bare")
    for pem, password in ((sealed, "hidden"), (bare, ""), (bare, "not needed")):
        found = security(
            security_protocol="SSL",
            certificate_file=pem,
            key_file=pem.with_suffix(".key"),
            key_password=password or None,
        )
        assert found.tls is not None


@pytest.mark.parametrize(
    ("certificate", "key", "password", "said"),
    [
        ("absent.pem", "sealed.key", None, "No such file"),
        ("sealed.pem", "absent.key", None, "No such file"),
        ("sealed.pem", "sealed.key", None, "KEELWATCH_KAFKA_KEY_PASSWORD: is not set"),
        ("sealed.pem", "sealed.key", "guess", "KEELWATCH_KAFKA_KEY_PASSWORD: does not open"),
        ("bare.pem", "other.key", None, "is not the certificate of the key"),
        ("bare.pem", None, None, "holds no certificate with its key"),
        ("bare.key", "bare.key", None, "holds no certificate with its key"),
    ],
)
def test_what_is_wrong_with_certificate_or_key_is_said(
    tmp_path: Path, certificate: str, key: str | None, password: str | None, said: str
) -> None:
    signer = authority(tmp_path, "authority")
    for name in ("bare", "other"):
        signer.signed(name)
    signer.signed("sealed", password="hidden")
    given = security(
        security_protocol="SSL",
        certificate_file=tmp_path / certificate,
        key_file=key and tmp_path / key,
        key_password=password,
    )
    with pytest.raises(BrokerError) as refused:
        options(Broker("h:1", security=given))
    assert said in str(refused.value)
    assert "; " in str(refused.value)
    assert "guess" not in str(refused.value)
