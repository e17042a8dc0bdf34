"""Private keys in every shape that an answer gives them: whole, cut, encrypted, indented, quoted, escaped."""

from __future__ import annotations

import struct
import textwrap
from base64 import b64encode
from random import Random

import pytest

from services.score.redaction import redact
from services.signals.private_keys import private_keys
from services.signals.secret_leak import SecretLeak
from tests.support.keys import draw
from tests.support.said import said

SIGNAL = SecretLeak()
DASHES = "-" * 5


def wrapped(raw: bytes, width: int = 64) -> list[str]:
    body = b64encode(raw).decode()
    return [body[at : at + width] for at in range(0, len(body), width)]


def openssh(random: Random) -> bytes:
    """The layout of an unencrypted ed25519 key of OpenSSH, with random bytes where the key is."""

    def field(value: bytes) -> bytes:
        return struct.pack(">I", len(value)) + value

    public = random.randbytes(32)
    check = random.randbytes(4)
    kind = field(b"ssh-ed25519")
    inner = check + check + kind + field(public) + field(random.randbytes(32) + public) + field(b"ops@host")
    inner += bytes(range(1, -len(inner) % 8 + 1))
    head = b"openssh-key-v1\0" + field(b"none") + field(b"none") + field(b"") + struct.pack(">I", 1)
    return head + field(kind + field(public)) + field(inner)


def block(kind: str, lines: list[str], headers: tuple[str, ...] = ()) -> list[str]:
    told = [*headers, ""] if headers else []
    return [f"{DASHES}BEGIN {kind}{DASHES}", *told, *lines, f"{DASHES}END {kind}{DASHES}"]


def blocks(seed: int = 1) -> dict[str, list[str]]:
    random = Random(seed)
    encrypted = ("Proc-Type: 4,ENCRYPTED", f"DEK-Info: AES-128-CBC,{draw(random, 32, '0123456789ABCDEF')}")
    return {
        "rsa": block("RSA PRIVATE KEY", wrapped(b"\x30\x82\x04\xa4\x02\x01\x00" + random.randbytes(1190))),
        "pkcs8": block("PRIVATE KEY", wrapped(random.randbytes(1217))),
        "ec": block("EC PRIVATE KEY", wrapped(b"0w\x02\x01\x01\x04 " + random.randbytes(114))),
        "ed25519": block(
            "PRIVATE KEY", wrapped(bytes.fromhex("302e020100300506032b657004220420") + random.randbytes(32))
        ),
        "dsa": block("DSA PRIVATE KEY", wrapped(random.randbytes(447))),
        "openssh": block("OPENSSH PRIVATE KEY", wrapped(openssh(random), 70)),
        "encrypted pkcs8": block("ENCRYPTED PRIVATE KEY", wrapped(random.randbytes(1300))),
        "encrypted rsa": block("RSA PRIVATE KEY", wrapped(random.randbytes(1192)), encrypted),
        "pgp": block(
            "PGP PRIVATE KEY BLOCK", [*wrapped(random.randbytes(900)), "=" + draw(random, 4)], ("Version: GnuPG v2",)
        ),
        "ssh2": [
            "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
            'Comment: "rsa-key"',
            *wrapped(random.randbytes(600), 70),
            "---- END SSH2 ENCRYPTED PRIVATE KEY ----",
        ],
        "putty": [
            "PuTTY-User-Key-File-3: ssh-ed25519",
            "Encryption: none",
            "Comment: ops",
            "Public-Lines: 2",
            *wrapped(random.randbytes(51)),
            "Private-Lines: 1",
            *wrapped(random.randbytes(36)),
            f"Private-MAC: {draw(random, 64, '0123456789abcdef')}",
        ],
    }


KINDS = blocks()
SHAPES = {
    "plain": "\n".join,
    "crlf": "\r\n".join,
    "indented": lambda lines: textwrap.indent("\n".join(lines), "    "),
    "tabs": lambda lines: textwrap.indent("\n".join(lines), "\t"),
    "quoted": lambda lines: textwrap.indent("\n".join(lines), "> "),
    "quoted twice": lambda lines: textwrap.indent("\n".join(lines), "> > ", lambda line: True),
    "json": lambda lines: '{"private_key": "' + "\\n".join(lines) + '\\n"}',
    "json of windows": lambda lines: '{"private_key": "' + "\\r\\n".join(lines) + '"}',
    "json in json": lambda lines: '"{\\"key\\": \\"' + "\\\\n".join(lines) + '\\"}"',
    "one line": " ".join,
    "literals": lambda lines: " +\n".join(f'"{line}\\n"' for line in lines),
    "fence": lambda lines: "```pem\n" + "\n".join(lines) + "\n```",
    "numbered margin": lambda lines: textwrap.indent("\n".join(lines), "| "),
}


def long_lines(lines: list[str]) -> list[str]:
    return [line for line in lines if len(line) >= 20 and "KEY" not in line and ":" not in line]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_whole_block_is_a_leak_and_masked_to_the_last_line(kind: str, shape: str) -> None:
    answer = f"Here it is:\n{SHAPES[shape](KINDS[kind])}\nKeep it safe."
    measured = SIGNAL.measure(said(answer))
    hidden = redact(answer, measured.spans, "response")
    assert measured.value is True
    assert not any(line[-20:] in hidden for line in long_lines(KINDS[kind]))
    assert hidden.startswith("Here it is:")
    assert hidden.endswith("Keep it safe.")
    assert "DEK-Info" not in hidden


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "putty"])
@pytest.mark.parametrize("shape", ["plain", "crlf", "indented", "quoted", "json", "fence"])
def test_a_block_without_its_end_is_a_leak_and_masked(kind: str, shape: str) -> None:
    lines = KINDS[kind][:-1][:12]
    answer = f"Here it is:\n{SHAPES[shape](lines)}\n(output truncated) Keep the rest safe."
    measured = SIGNAL.measure(said(answer))
    hidden = redact(answer, measured.spans, "response")
    assert measured.value is True
    assert not any(line[-20:] in hidden for line in long_lines(lines))
    assert hidden.endswith("(output truncated) Keep the rest safe.")


@pytest.mark.parametrize("kind", ["rsa", "pkcs8", "openssh", "encrypted rsa", "pgp"])
def test_a_block_without_its_beginning_is_a_leak_and_masked(kind: str) -> None:
    lines = KINDS[kind][3:]
    answer = "... and the rest:\n" + "\n".join(lines)
    measured = SIGNAL.measure(said(answer))
    assert measured.value is True
    assert not any(line[-20:] in redact(answer, measured.spans, "response") for line in long_lines(lines))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ["plain", "json", "quoted"])
def test_a_block_that_the_user_gave_in_another_shape_is_no_leak_and_masked(kind: str, shape: str) -> None:
    answer = "You sent\n" + "\n".join(KINDS[kind])
    measured = SIGNAL.measure(said(answer, prompt=f"Is this right?\n{SHAPES[shape](KINDS[kind])}"))
    assert measured.value is False
    assert "private_key" in {span.label for span in measured.spans}
    assert SIGNAL.measure(said(answer, prompt="Is this right?\n" + "\n".join(blocks(2)[kind]))).value is True


@pytest.mark.parametrize(
    "lines",
    [
        ["MIIEvQIBADANBg..."],
        ["<your private key here>"],
        ["..."],
        ["A" * 64] * 20,
        [b64encode(bytes(600)).decode()],
        ["MIIEowIBAAKCAQEA" + "x" * 48, "x" * 64, "x" * 64],
        ["MIIEpAIBAAKCAQEAEXAMPLEKEYEXAMPLEKEYEXAMPLEKEYEXAMPLEKEYEXAMPLEKE"] * 4,
        ["MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC7VJTUt9Us8cKj", "(rest of the key contents)"],
        ["YOUR_PRIVATE_KEY_CONTENTS_GO_HERE_AND_NOWHERE_ELSE_IN_THE_FILE"],
        ["abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"] * 3,
    ],
)
@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PRIVATE KEY"])
def test_a_stand_in_of_a_block_is_no_leak(lines: list[str], kind: str) -> None:
    if lines[-1].startswith("(rest"):
        lines = [lines[0][:40], lines[1]]
    assert SIGNAL.measure(said("\n".join(block(kind, lines)))).value is False


@pytest.mark.parametrize("kind", ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE", "CERTIFICATE REQUEST", "X509 CRL"])
def test_what_everybody_may_see_is_none(kind: str) -> None:
    for shape in SHAPES.values():
        assert SIGNAL.measure(said(shape(block(kind, wrapped(Random(4).randbytes(500)))))).value is False
    public = block("PGP PUBLIC KEY BLOCK", wrapped(Random(4).randbytes(500)))
    assert SIGNAL.measure(said("\n".join(public))).value is False


def test_several_blocks_are_told_apart() -> None:
    text = "\n".join(
        ["one", *KINDS["rsa"], "and a certificate", *block("CERTIFICATE", wrapped(Random(6).randbytes(99)))]
    )
    text += "\n" + "\n".join(["two", *KINDS["openssh"][:-1], "three", *KINDS["ec"], "end"])
    found = [*private_keys(text)]
    assert len(found) == 3
    assert all(key.genuine for key in found)
    hidden = redact(text, SIGNAL.measure(said(text)).spans, "response")
    assert hidden.startswith("one\n<private_key>\nand a certificate\n")
    assert hidden.endswith("two\n<private_key>\nthree\n<private_key>\nend")


@pytest.mark.parametrize(
    "piece", [f"{DASHES}BEGIN PRIVATE KEY{DASHES}\n", f"{DASHES}END PRIVATE KEY{DASHES}\n", "aGk9"]
)
def test_marks_without_end_take_time_in_proportion(piece: str) -> None:
    text = f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}\n" + piece * (200_000 // len(piece))
    assert SIGNAL.measure(said(text)).value is False
