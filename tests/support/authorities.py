"""Authorities of certificates and an issuer of tokens, for tests of brokers that ask who we are."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

CLIENT, SECRET = "keelwatch-client", "s3cret+/ü"
AUDIENCE, ISSUER, KEY_ID = "kafka", "https://issuer.test", "k1"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Signs certificates for 127.0.0.1; its own is `pem`."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> Path:
        """Its certificate, as a file."""
        return self.folder / f"{self.name}.pem"

    def signed(self, name: str, until: timedelta = 30 * DAY, password: str = "") -> Path:
        """A certificate `NAME.pem` with its key in `NAME.key`; one that ended has an `until` below zero."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, self.name, self.key, until, authority=False)
        (self.folder / f"{name}.key").write_bytes(_private(key, password))
        file = self.folder / f"{name}.pem"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return file


def authority(folder: Path, name: str) -> Authority:
    """A new one."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = Authority(folder, name, key, _certificate(name, key, name, key, 30 * DAY, authority=True))
    made.pem.write_bytes(made.certificate.public_bytes(serialization.Encoding.PEM))
    return made


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: str,
    signs: ec.EllipticCurvePrivateKey,
    until: timedelta,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    where = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 60 * DAY)
        .not_valid_after(now + until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(where, critical=False)
    )
    return builder.sign(signs, hashes.SHA256())


def _private(key: Any, password: str = "") -> bytes:
    kept = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    made: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)
    return made


class Issuer:
    """Signs tokens (JWT, RS256) whose keys a broker reads from a file."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.asked = 0

    def keys(self) -> str:
        """Its public key, as a JWKS."""
        numbers = self.key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID}
        return json.dumps({"keys": [key | {"n": _number(numbers.n), "e": _number(numbers.e)}]})

    def token(self, life: float = 300, **claims: Any) -> str:
        """A token of our client that is good for `life` seconds from now."""
        now = int(time.time())
        base = {"iss": ISSUER, "aud": AUDIENCE, "sub": CLIENT, "iat": now - 600, "exp": int(now + life)}
        parts = ({"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}, base | claims)
        signed = ".".join(_text(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{_text(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    @contextmanager
    def endpoint(self, life: float = 300, answer: tuple[int, Mapping[str, Any]] | None = None) -> Iterator[str]:
        """Its token endpoint, for our client with the grant client_credentials; or one that always says `answer`."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                issuer.asked += 1
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                proof = base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode().split(":")
                status, told = answer or issuer._answer(form, [unquote_plus(one) for one in proof], life)
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/token"
            finally:
                server.shutdown()
                thread.join(10)

    def _answer(self, form: Mapping[str, list[str]], proof: list[str], life: float) -> tuple[int, Mapping[str, Any]]:
        if proof != [CLIENT, SECRET]:
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        if form.get("scope", ["kafka"]) != ["kafka"]:
            return 400, {"error": "invalid_scope"}
        return 200, {"access_token": self.token(life), "token_type": "Bearer", "expires_in": life}


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))
