"""Apache Kafka as companies run it: listeners that know a client by certificate, password or token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tests.support.authorities import AUDIENCE, ISSUER, Authority, Issuer, authority
from tests.support.brokers import PASSWORD, USER, Kafka, unused_ports

_MODULES = "org.apache.kafka.common.security"
_TOKENS = f"{_MODULES}.oauthbearer"
_LISTENERS = {"MUTUAL": "SSL", "USERS": "SASL_SSL", "TOKENS": "SASL_PLAINTEXT"}


@dataclass
class IdentifyingKafka(Kafka):
    """Beside the listeners of `Kafka`: certificates of both sides, three kinds of password over TLS, tokens."""

    scram = ("SCRAM-SHA-256", "SCRAM-SHA-512")
    issuer: Issuer = field(default_factory=Issuer)

    @cached_property
    def authority(self) -> Authority:
        """Who signed the certificates of the broker, and those that it trusts."""
        return authority(self.folder, "authority")

    @property
    def mutual(self) -> str:
        """Where it listens with TLS and wants a certificate."""
        return f"127.0.0.1:{self.ports[4]}"

    @property
    def users(self) -> str:
        """Where it listens with TLS and wants a password by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""
        return f"127.0.0.1:{self.ports[5]}"

    @property
    def tokens(self) -> str:
        """Where it listens with OAUTHBEARER, in the clear; a connection ends with its token."""
        return f"127.0.0.1:{self.ports[6]}"

    def java_options(self) -> Sequence[str]:
        """Kafka reads keys of issuers only where it is allowed to."""
        return (f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self._jwks}",)

    @property
    def _jwks(self) -> str:
        return (self.folder / "jwks.json").as_uri()

    def properties(self) -> dict[str, str]:
        """Those of `Kafka` and the further listeners."""
        return super().properties() | self._further() | self._certificates() | self._passwords() | self._of_tokens()

    def _format(self) -> None:
        self.ports = unused_ports(7)
        (self.folder / "jwks.json").write_text(self.issuer.keys())
        file = self.authority.signed("broker")
        (self.folder / "broker-both.pem").write_text(file.with_suffix(".key").read_text() + file.read_text())
        super()._format()

    def _further(self) -> dict[str, str]:
        base = super().properties()
        mine = ",".join(f"{name}://127.0.0.1:{port}" for name, port in zip(_LISTENERS, self.ports[4:], strict=True))
        kinds = ",".join(f"{name}:{kind}" for name, kind in _LISTENERS.items())
        named = ("listeners", "advertised.listeners")
        return {name: f"{base[name]},{mine}" for name in named} | {
            "listener.security.protocol.map": f"{base['listener.security.protocol.map']},{kinds}"
        }

    def _certificates(self) -> dict[str, str]:
        found = {}
        for name in ("mutual", "users"):
            prefix = f"listener.name.{name}.ssl"
            found[f"{prefix}.keystore.type"] = "PEM"
            found[f"{prefix}.keystore.location"] = str(self.folder / "broker-both.pem")
        trusted = {"client.auth": "required", "truststore.type": "PEM", "truststore.location": str(self.authority.pem)}
        return found | {f"listener.name.mutual.ssl.{name}": value for name, value in trusted.items()}

    def _passwords(self) -> dict[str, str]:
        prefix = "listener.name.users"
        scram = f"{_MODULES}.scram.ScramLoginModule required;"
        plain = f'{_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        return {
            f"{prefix}.sasl.enabled.mechanisms": ",".join(("PLAIN", *self.scram)),
            f"{prefix}.plain.sasl.jaas.config": plain,
            **{f"{prefix}.{name.lower()}.sasl.jaas.config": scram for name in self.scram},
        }

    def _of_tokens(self) -> dict[str, str]:
        one = "listener.name.tokens.oauthbearer"
        return {
            "listener.name.tokens.sasl.enabled.mechanisms": "OAUTHBEARER",
            f"{one}.sasl.jaas.config": f"{_TOKENS}.OAuthBearerLoginModule required;",
            f"{one}.sasl.server.callback.handler.class": f"{_TOKENS}.OAuthBearerValidatorCallbackHandler",
            f"{one}.sasl.oauthbearer.jwks.endpoint.url": self._jwks,
            f"{one}.sasl.oauthbearer.expected.audience": AUDIENCE,
            f"{one}.sasl.oauthbearer.expected.issuer": ISSUER,
            f"{one}.connections.max.reauth.ms": "3600000",
        }
