"""The command line, and the two kinds of broker that commands must work on."""

from __future__ import annotations

import sys

import pytest

from services.cli import main
from tests.support.kafka import Cluster

SETTINGS = ("BOOTSTRAP", "SECURITY_PROTOCOL", "SASL_MECHANISM", "USERNAME", "PASSWORD", "CA_FILE")


@pytest.fixture
def keelwatch(monkeypatch, capsys, tmp_path):
    """Run the command line without settings of its environment: exit code, stdout, stderr."""
    for name in SETTINGS:
        monkeypatch.delenv(f"KEELWATCH_KAFKA_{name}", raising=False)
    monkeypatch.delenv("KEELWATCH_DATABASE_URL", raising=False)
    monkeypatch.setenv("KEELWATCH_DATA_DIR", str(tmp_path / "data"))

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["keelwatch", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(params=["kafka", "embedded_broker"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The shared cluster, then the embedded broker."""
    found: Cluster = request.getfixturevalue(request.param)
    return found
