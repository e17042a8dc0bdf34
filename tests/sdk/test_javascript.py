"""The JavaScript client: its own tests under Node, and its exchanges through Keelwatch's decoder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from schemas.position import Position
from services.ingest.decode import decode
from services.ports import Received
from tests.support.source import ROOT

PLACE = Position(cluster="c", topic="t", partition=0, offset=0)
pytestmark = pytest.mark.browser  # Node is of its tier (tests/support/tiers.py)


def test_its_tests_pass_and_keelwatch_decodes_what_it_sends(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node 18 or newer (Debian: nodejs)")
    sent = tmp_path / "sent.jsonl"
    done = subprocess.run(
        [node, "--test", "tests/sdk/javascript/client.test.mjs"],
        cwd=ROOT,
        env={**os.environ, "KEELWATCH_TEST_SENT": str(sent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    lines = sent.read_bytes().splitlines()
    assert len(lines) == 6
    for line in lines:
        found = decode(line, PLACE)
        assert isinstance(found, Received), found
        assert (found.exchange.extra, found.flags) == ({}, ())
