"""Findings from what was seen: each cause told apart, each with its remedy. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from schemas.topics import EXCHANGES

State = Literal["ok", "warning", "wrong", "skipped"]

MIB: Final = 1024 * 1024
DISK_WRONG: Final = 200 * MIB
DISK_WARNING: Final = 1024 * MIB
CLOCK_WARNING: Final = 2.0
CLOCK_WRONG: Final = 60.0
ABSENT: Final = "does not exist"
PRODUCERS_TIME: Final = "CreateTime"
CODEC_REMEDY: Final = "install Keelwatch's dependencies again; cramjam reads them"


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One line of the doctor's report.

    Attributes:
        check: what was looked at. cause: one word that tells apart what can be wrong with it, for machines.
    """

    check: str
    state: State
    cause: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """What happened when one address of the broker was approached as the settings say.

    Attributes:
        step: the step that failed, or `done`.
        error: class of the exception. verify_code: OpenSSL's, when a certificate was refused. words: the broker's own.
        hello: the first bytes that an unencrypted Kafka request got.
        unreachable: brokers that the cluster names and that cannot be connected to.
        mechanism: of SASL, as the settings say. alert: OpenSSL's name of what the broker ended TLS with, once it had
            seen our certificate, if we show one. shows_certificate: whether we do. certificate_ended: whether it is
            not valid now.
    """

    address: str
    step: Literal["resolve", "connect", "talk", "metadata", "done"]
    error: str = ""
    verify_code: int = 0
    words: str = ""
    hello: bytes = b""
    unreachable: tuple[str, ...] = ()
    mechanism: str = ""
    alert: str = ""
    shows_certificate: bool = False
    certificate_ended: bool = False


_TLS_ALERT: Final = 0x15
_EXPIRED, _NOT_YET, _WRONG_NAME, _WRONG_ADDRESS = 10, 9, 62, 64

_WITHOUT_OURS: Final = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "HANDSHAKE_FAILURE")
"""Alerts, by parts of OpenSSL's names, of brokers that were shown no certificate and want one: of TLS 1.3, of Java, of
TLS 1.2."""
_OF_OURS: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "DECRYPT_ERROR")
"""Alerts about a certificate that was shown."""

_REMEDIES: Final[Mapping[str, tuple[str, str]]] = {
    "unresolved": ("the host's name is unknown", "correct the name in KEELWATCH_KAFKA_BOOTSTRAP, or the DNS"),
    "refused": ("nothing listens there", "start the broker, or correct the port in KEELWATCH_KAFKA_BOOTSTRAP"),
    "no_answer": ("no answer", "look for a firewall or a hung broker between here and there"),
    "tls_port": (
        "the port speaks TLS, the settings do not",
        "set KEELWATCH_KAFKA_SECURITY_PROTOCOL to SASL_SSL or SSL",
    ),
    "plain_port": (
        "the port does not speak TLS, the settings do",
        "name the broker's TLS port in KEELWATCH_KAFKA_BOOTSTRAP",
    ),
    "wrong_ca": (
        "the broker's certificate is not of the given authority",
        "set KEELWATCH_KAFKA_CA_FILE to the PEM file of the authority that signed it",
    ),
    "wrong_host": (
        "the broker's certificate is for another name",
        "use the name that the certificate holds in KEELWATCH_KAFKA_BOOTSTRAP, or have one made for this name",
    ),
    "expired": ("the broker's certificate is not valid now", "renew it, and check the clock of this machine"),
    "wrong_password": (
        "the broker refuses user or password",
        "correct KEELWATCH_KAFKA_USERNAME and KEELWATCH_KAFKA_PASSWORD",
    ),
    "mechanism": (
        "the broker does not offer this SASL mechanism",
        "set KEELWATCH_KAFKA_SASL_MECHANISM to one that it offers",
    ),
    "no_token": (
        "there is no token to show",
        "mend what the reason names",
    ),
    "token_refused": (
        "the broker refuses the token",
        "let the token be of the issuer, audience and scope that the broker expects, and not expired: see the broker's "
        "log for which it is, and check the clock of this machine",
    ),
    "own_missing": (
        "the broker asks for a certificate of ours",
        "set KEELWATCH_KAFKA_CERTIFICATE_FILE and KEELWATCH_KAFKA_KEY_FILE",
    ),
    "own_ended": (
        "our certificate is not valid now",
        "renew what KEELWATCH_KAFKA_CERTIFICATE_FILE names, and check the clock of this machine",
    ),
    "own_refused": (
        "the broker refuses our certificate",
        "let KEELWATCH_KAFKA_CERTIFICATE_FILE be signed by an authority that the broker trusts, with the "
        "certificates between in the same file",
    ),
    "tls_alert": (
        "the broker ends the TLS handshake",
        "let broker and client share a version and ciphers of TLS, and the broker know the name in "
        "KEELWATCH_KAFKA_BOOTSTRAP; its log says more",
    ),
    "no_sasl": (
        "the port takes no user and password, the settings have one",
        "name the broker's SASL port, or set KEELWATCH_KAFKA_SECURITY_PROTOCOL to SSL or PLAINTEXT and unset the user",
    ),
    "needs_sasl": (
        "the port wants a user and password, the settings have none",
        "set KEELWATCH_KAFKA_SECURITY_PROTOCOL to SASL_SSL, and KEELWATCH_KAFKA_USERNAME and _PASSWORD, or a token",
    ),
    "no_kafka": ("something else than Kafka answers there", "correct the port in KEELWATCH_KAFKA_BOOTSTRAP"),
    "advertised": (
        "the cluster names brokers that cannot be reached from here",
        "set advertised.listeners of the brokers to names and ports that this machine can reach",
    ),
}


def broker(protocol: str, contact: Contact) -> DoctorFinding:
    """What one address is like, for a client with security `protocol`."""
    cause = _cause(protocol, contact)
    if cause == "ok":
        return DoctorFinding("broker", "ok", "ok", f"{contact.address} answers, {protocol}")
    what, remedy = _REMEDIES[cause]
    said = {"advertised": ", ".join(contact.unreachable), "tls_alert": contact.alert}
    detail = said.get(cause, contact.words)
    return DoctorFinding(
        "broker", "wrong", cause, f"{contact.address}: {what}{f' ({detail})' if detail else ''}", remedy
    )


def _cause(protocol: str, contact: Contact) -> str:
    early = {
        "resolve": "unresolved",
        "connect": "refused" if contact.error == "ConnectionRefusedError" else "no_answer",
    }
    if contact.step == "done":
        return "advertised" if contact.unreachable else "ok"
    if contact.step in early:
        return early[contact.step]
    if "ALERT" in contact.alert or "UNRECOGNIZED_NAME" in contact.alert:
        return _cause_of_alert(contact)
    if contact.step == "metadata":
        return "no_answer" if contact.error == "TimeoutError" or "SASL" in protocol else "needs_sasl"
    return _cause_of_talk(protocol, contact)


def _cause_of_alert(contact: Contact) -> str:
    """The broker ended TLS: for our certificate, or for something that no certificate mends."""
    if not contact.shows_certificate:
        return "own_missing" if any(one in contact.alert for one in _WITHOUT_OURS) else "tls_alert"
    if "CERTIFICATE_REQUIRED" in contact.alert:
        return "own_missing"
    if any(one in contact.alert for one in _OF_OURS):
        return "own_ended" if contact.certificate_ended else "own_refused"
    return "tls_alert"


def _cause_of_talk(protocol: str, contact: Contact) -> str:
    """The connection is there, and then: certificate, authentication, or another language than ours."""
    by_code = {_EXPIRED: "expired", _NOT_YET: "expired", _WRONG_NAME: "wrong_host", _WRONG_ADDRESS: "wrong_host"}
    by_error = {
        "SSLCertVerificationError": by_code.get(contact.verify_code, "wrong_ca"),
        "SaslAuthenticationFailed": "token_refused" if contact.mechanism == "OAUTHBEARER" else "wrong_password",
        "NoTokenError": "no_token",
        "UnsupportedSaslMechanismError": "mechanism",
        "IllegalSaslStateError": "no_sasl",
    }
    if contact.error in by_error:
        return by_error[contact.error]
    if contact.hello[:1] == bytes([_TLS_ALERT]):
        return "no_answer" if protocol.endswith("SSL") else "tls_port"
    if protocol.endswith("SSL") and is_kafka(contact.hello):
        return "plain_port"
    return "no_kafka" if contact.hello and not is_kafka(contact.hello) else "no_answer"


def is_kafka(hello: bytes) -> bool:
    """Whether the bytes begin as Kafka's answer to request 1 does: a length, then the request's number."""
    return len(hello) >= 8 and hello[4:8] == b"\x00\x00\x00\x01" and hello[:1] == b"\x00"


def topics(found: Mapping[str, Sequence[str]]) -> list[DoctorFinding]:
    """Topics that are missing or not as they should be: topic -> its deviations, as `topics check` words them.

    Another number of partitions than usual is a choice that `topics create` offers, so it is a warning.
    """
    missing = [name for name, how in found.items() if ABSENT in how]
    other = {name: [one for one in how if one != ABSENT] for name, how in found.items()}
    lines = [f"{name} {one}" for name, how in other.items() for one in how]
    grave = [line for line in lines if " partitions: " not in line]
    findings = []
    if missing:
        message = f"{len(missing)} of {len(found)} are missing: {_some(missing)}"
        findings.append(DoctorFinding("topics", "wrong", "missing", message, "`keelwatch topics create`"))
    if lines:
        state: State = "wrong" if grave else "warning"
        message = f"not as they should be: {_some(grave or lines)}"
        findings.append(
            DoctorFinding("topics", state, "deviating", message, "`keelwatch topics check` shows all of it")
        )
    return findings or [DoctorFinding("topics", "ok", "ok", f"all {len(found)} are there, as they should be")]


def _some(names: Sequence[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


def times(found: Mapping[str, str]) -> DoctorFinding:
    """Whose time records bear: topic -> its `message.timestamp.type`, as the cluster tells it.

    The topic of exchanges may be other people's, who may want it so.
    """
    theirs = [name for name, kind in found.items() if kind == PRODUCERS_TIME]
    if not theirs:
        return DoctorFinding("time", "ok", "ok", "the broker stamps every record")
    message = f"{_some(theirs)}: records bear the time of whoever sent them (message.timestamp.type=CreateTime)"
    if EXCHANGES.name in theirs:
        message += "; an exchange without ts counts from that, however wrong that clock is: have publishers send ts"
    return DoctorFinding("time", "ok", "create_time", message)


def codecs(missing: Sequence[str]) -> DoctorFinding:
    """Kafka's codecs, of which those that are `missing` cannot be read here."""
    if not missing:
        return DoctorFinding("codecs", "ok", "ok", "records of every codec can be read")
    message = f"records compressed by {', '.join(missing)} cannot be read, and publishers choose the codec"
    return DoctorFinding("codecs", "wrong", "missing", message, CODEC_REMEDY)


def unanswered(check: str, error: BaseException) -> DoctorFinding:
    """A question that the cluster did not answer; about rights only where it says so."""
    name = type(error).__name__
    if "Authorization" in name:
        remedy = "give the user the rights to describe the cluster, its topics and its groups"
        return DoctorFinding(check, "wrong", "refused", f"the cluster refuses to answer: {name}", remedy)
    remedy = "run it again; if it stays, look into the broker's log"
    return DoctorFinding(check, "wrong", "unanswered", f"the cluster did not answer: {name}", remedy)


def clock(against: str, ahead: float, uncertain: float) -> DoctorFinding:
    """This machine's clock against another's: `ahead` seconds, known to within `uncertain` seconds."""
    off = max(abs(ahead) - uncertain, 0.0)
    state: State = "wrong" if off > CLOCK_WRONG else "warning" if off > CLOCK_WARNING else "ok"
    if state == "ok":
        return DoctorFinding("clock", "ok", "ok", f"agrees with {against} to {abs(ahead) + uncertain:.1f} s")
    way = "ahead of" if ahead > 0 else "behind"
    message = f"{abs(ahead):.1f} s {way} {against}"
    return DoctorFinding(
        "clock", state, "skew", message, "set both clocks by NTP: times of exchanges and silences depend on it"
    )


def disk(folder: str, free: int | None, writable: bool) -> DoctorFinding:
    """The folder of data; `free` is None when it cannot be asked."""
    if not writable:
        remedy = "give this user the right to write it, or name another in KEELWATCH_DATA_DIR"
        return DoctorFinding("disk", "wrong", "not_writable", f"{folder} cannot be written", remedy)
    if free is None:
        return DoctorFinding("disk", "skipped", "unknown", f"free space of {folder} cannot be asked")
    state: State = "wrong" if free < DISK_WRONG else "warning" if free < DISK_WARNING else "ok"
    message = f"{free // MIB:,} MiB free in {folder}"
    if state == "ok":
        return DoctorFinding("disk", "ok", "ok", message)
    return DoctorFinding("disk", state, "full", message, "make room, or name another folder in KEELWATCH_DATA_DIR")


def workers(database: str, members: Mapping[str, int]) -> DoctorFinding:
    """Workers in consumer groups against a database with one writer. `members`: group -> members now."""
    most = max(members.values(), default=0)
    if not database.startswith("sqlite"):
        return DoctorFinding("workers", "ok", "ok", f"{most} at most in one group; the database takes several")
    if most <= 1:
        return DoctorFinding("workers", "ok", "ok", "at most one in a group, as SQLite needs it")
    crowded = ", ".join(sorted(group for group, n in members.items() if n > 1))
    return DoctorFinding(
        "workers",
        "wrong",
        "sqlite",
        f"{most} workers in {crowded}, and the database is SQLite, which has one writer",
        "set KEELWATCH_DATABASE_URL to postgresql://..., or stop all workers but one",
    )


def revision(shown: str, current: str | None, head: str, known: Sequence[str]) -> DoctorFinding:
    """The version of the database's tables against the one that this Keelwatch needs."""
    if current == head:
        return DoctorFinding("database", "ok", "ok", f"{shown} answers, its tables are up to date")
    if current is not None and current not in known:
        message = f"{shown} was written by a newer version of Keelwatch"
        return DoctorFinding("database", "wrong", "newer", message, "upgrade Keelwatch here")
    what = "has no tables yet" if current is None else "has tables of an older version"
    remedy = "nothing: the first start of `keelwatch worker` or `up` makes them up to date; back up before an upgrade"
    return DoctorFinding("database", "warning", "not_migrated", f"{shown} {what}", remedy)
