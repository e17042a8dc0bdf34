"""How a connection to a broker is protected, and by what we are known there: TLS, certificates, SASL, tokens."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from services.errors import InputError
from services.settings import Settings
from services.stream.oauth_tokens import EndpointTokens, OAuthTokens, TokenEndpoint, TokenFile

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]

OAUTHBEARER: Final = "OAUTHBEARER"
"""The mechanism of SASL that shows a token."""


class BrokerError(InputError):
    """The broker's settings cannot be used as they are; the text names the setting and the remedy, never a secret."""


@dataclass(frozen=True, slots=True)
class Security:
    """How a connection is protected, and by what we are known. Passwords and tokens do not show.

    Attributes:
        mechanism: of SASL; empty without it. tokens: of the mechanism OAUTHBEARER.
        certificate_file, key_file: our own certificate and its private key, where the broker asks for one.
    """

    protocol: SecurityProtocol = "PLAINTEXT"
    mechanism: str = ""
    username: str = ""
    password: str = ""
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: str = ""
    tokens: OAuthTokens | None = None

    def __repr__(self) -> str:
        return f"Security({self.protocol}, {self.mechanism or 'no SASL'}, {self.username or 'no user'})"

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, which checks the broker's certificate and name; None for a protocol without TLS.

        Raises:
            BrokerError: if a file of certificates or the key cannot be used.
        """
        if self.protocol not in ("SSL", "SASL_SSL"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            why = error.strerror or "holds no certificate"
            raise BrokerError(
                f"KEELWATCH_KAFKA_CA_FILE={self.ca_file}: {why}; name a PEM file of the broker's authority"
            ) from None
        if self.certificate_file is not None:
            self._show_ours(context, self.certificate_file)
        return context

    @property
    def sasl(self) -> dict[str, Any]:
        """What aiokafka's clients are given to be let in; empty without SASL."""
        if not self.protocol.startswith("SASL"):
            return {}
        if self.tokens is not None:
            return {"sasl_mechanism": self.mechanism, "sasl_oauth_token_provider": self.tokens}
        return {
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }

    def _show_ours(self, context: ssl.SSLContext, certificate: Path) -> None:
        asked = []

        def password() -> str:  # without it OpenSSL would ask at the terminal
            asked.append(True)
            return self.key_password

        try:
            context.load_cert_chain(certificate, self.key_file, password)
        except ssl.SSLError as error:
            raise BrokerError(_key_fault(self, error, encrypted=bool(asked))) from None
        except OSError as error:
            raise BrokerError(
                f"KEELWATCH_KAFKA_CERTIFICATE_FILE={certificate} or KEELWATCH_KAFKA_KEY_FILE={self.key_file}: "
                f"{error.strerror}; name PEM files that this user may read"
            ) from None


NO_SECURITY: Final = Security()
"""In the clear, known by nothing."""


def _key_fault(security: Security, error: ssl.SSLError, *, encrypted: bool) -> str:
    """Why certificate and key cannot be used, and the remedy."""
    certificate = f"KEELWATCH_KAFKA_CERTIFICATE_FILE={security.certificate_file}"
    key = f"KEELWATCH_KAFKA_KEY_FILE={security.key_file}" if security.key_file else certificate
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{certificate}: is not the certificate of the key in {key}; name the two that belong together"
    if encrypted:
        what = "does not open the key" if security.key_password else "is not set, and the key is encrypted"
        return f"KEELWATCH_KAFKA_KEY_PASSWORD: {what} in {key}; set it, or _FILE, to what the key was encrypted with"
    return f"{certificate}: holds no certificate with its key; name a PEM file of it, and KEELWATCH_KAFKA_KEY_FILE"


def security_of(settings: Settings) -> Security:
    """The security that the settings ask for.

    Raises:
        BrokerError: names the variable that is missing or contradicts the others.
    """
    protocol = settings.kafka_security_protocol
    password = settings.kafka_password.get_secret_value() if settings.kafka_password else ""
    credentials = bool(settings.kafka_username or password or settings.kafka_sasl_mechanism)
    problem = _of_tls(settings) or _of_sasl(settings, credentials=credentials) or _of_tokens(settings)
    if problem:
        raise BrokerError(problem)
    key_password = settings.kafka_key_password
    return Security(
        protocol,
        (settings.kafka_sasl_mechanism or "SCRAM-SHA-512") if credentials else "",
        settings.kafka_username or "",
        password,
        settings.kafka_ca_file,
        settings.kafka_certificate_file,
        settings.kafka_key_file,
        key_password.get_secret_value() if key_password else "",
        _tokens(settings) if settings.kafka_sasl_mechanism == OAUTHBEARER else None,
    )


def _of_tls(settings: Settings) -> str | None:
    """What the settings of TLS lack or contradict."""
    protocol = settings.kafka_security_protocol
    files = ("kafka_ca_file", "kafka_certificate_file", "kafka_key_file", "kafka_key_password")
    given = [f"KEELWATCH_{name.upper()}" for name in files if getattr(settings, name)]
    if given and not protocol.endswith("SSL"):
        return (
            f"KEELWATCH_KAFKA_SECURITY_PROTOCOL={protocol} does not encrypt, yet {given[0]} is set; "
            "set it to SSL or SASL_SSL"
        )
    if settings.kafka_certificate_file is None and (settings.kafka_key_file or settings.kafka_key_password):
        return f"{given[-1]} is set, and no certificate: set KEELWATCH_KAFKA_CERTIFICATE_FILE too"
    return None


def _of_sasl(settings: Settings, *, credentials: bool) -> str | None:
    """What the settings of SASL lack or contradict."""
    setting = f"KEELWATCH_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol}"
    if not settings.kafka_security_protocol.startswith("SASL"):
        if not credentials:
            return None
        what = "KEELWATCH_KAFKA_SASL_MECHANISM" if not settings.kafka_username else "KEELWATCH_KAFKA_USERNAME"
        what += "" if settings.kafka_sasl_mechanism == OAUTHBEARER else " and _PASSWORD"
        return (
            f"{setting} would leave {what} unused; set it to SASL_SSL"
            " (SASL_PLAINTEXT, by name alone, for a network that nobody else can read)"
        )
    named = settings.kafka_username or settings.kafka_password
    if settings.kafka_sasl_mechanism == OAUTHBEARER:
        return f"{OAUTHBEARER} shows a token, no user: unset KEELWATCH_KAFKA_USERNAME and _PASSWORD" if named else None
    if not (settings.kafka_username and settings.kafka_password):
        return (
            f"{setting} needs KEELWATCH_KAFKA_USERNAME and KEELWATCH_KAFKA_PASSWORD, or "
            f"KEELWATCH_KAFKA_SASL_MECHANISM={OAUTHBEARER} and a token"
        )
    return None


def _of_tokens(settings: Settings) -> str | None:
    """What the settings of tokens lack or contradict."""
    kinds = ("file", "url", "client_id", "client_secret", "scope", "ca_file", "extensions")
    given = [f"KEELWATCH_KAFKA_TOKEN_{kind.upper()}" for kind in kinds if getattr(settings, f"kafka_token_{kind}")]
    mechanism = f"KEELWATCH_KAFKA_SASL_MECHANISM={OAUTHBEARER}"
    if settings.kafka_sasl_mechanism != OAUTHBEARER:
        return f"{given[0]} is unused; set {mechanism}" if given else None
    if bool(settings.kafka_token_file) == bool(settings.kafka_token_url):
        either = "KEELWATCH_KAFKA_TOKEN_FILE or KEELWATCH_KAFKA_TOKEN_URL"
        return f"{mechanism} needs {either}, {'not both' if settings.kafka_token_file else 'where tokens come from'}"
    if settings.kafka_token_url and not (settings.kafka_token_client_id and settings.kafka_token_client_secret):
        return "KEELWATCH_KAFKA_TOKEN_URL needs KEELWATCH_KAFKA_TOKEN_CLIENT_ID and KEELWATCH_KAFKA_TOKEN_CLIENT_SECRET"
    asked = [name for name in given if not name.endswith(("TOKEN_FILE", "TOKEN_EXTENSIONS"))]
    return (
        f"{asked[0]} is unused beside KEELWATCH_KAFKA_TOKEN_FILE; unset it"
        if settings.kafka_token_file and asked
        else None
    )


def _tokens(settings: Settings) -> OAuthTokens:
    pairs = (one.strip().partition("=") for one in (settings.kafka_token_extensions or "").split(",") if one.strip())
    told = {name: value for name, _, value in pairs}
    if settings.kafka_token_file is not None:
        return OAuthTokens(TokenFile(settings.kafka_token_file), told)
    secret = settings.kafka_token_client_secret
    endpoint = TokenEndpoint(
        settings.kafka_token_url or "",
        settings.kafka_token_client_id or "",
        secret.get_secret_value() if secret else "",
        settings.kafka_token_scope or "",
        settings.kafka_token_ca_file,
    )
    return OAuthTokens(EndpointTokens(endpoint), told)
