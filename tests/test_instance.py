"""Two processes never go by one name."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.errors import InputError
from services.wiring.instance import InstanceInUse, claim_instance
from tests.support.source import ROOT

HOLDER = """
import sys, time
from pathlib import Path
from services.wiring.instance import claim_instance
with claim_instance(Path(sys.argv[1]), None, "up") as name:
    print(name, flush=True)
    time.sleep(600)
"""


def test_the_id_is_made_once_and_kept(tmp_path: Path) -> None:
    with claim_instance(tmp_path / "new" / "folder", None, "score") as first:
        pass
    with claim_instance(tmp_path / "new" / "folder", None, "up") as second:
        assert first == second
    with claim_instance(tmp_path / "other", None, "up") as other:
        assert other != first


def test_a_second_process_may_not_share_the_id(tmp_path: Path) -> None:
    with (
        claim_instance(tmp_path, None, "score"),
        pytest.raises(InstanceInUse, match="KEELWATCH_DATA_DIR"),
        claim_instance(tmp_path, None, "up"),
    ):
        pass


def test_a_given_name_is_shared_by_different_work_alone(tmp_path: Path) -> None:
    with (
        claim_instance(tmp_path, "a", "score") as name,
        claim_instance(tmp_path, "a", "detect"),
        claim_instance(tmp_path, "b", "score"),
    ):
        assert name == "a"
        with pytest.raises(InstanceInUse, match="KEELWATCH_INSTANCE=a"), claim_instance(tmp_path, "a", "score"):
            pass


def test_the_claim_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        name = holder.stdout.readline().strip()
        with pytest.raises(InstanceInUse), claim_instance(tmp_path, None, "up"):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with claim_instance(tmp_path, None, "up") as again:
        assert again == name


def test_what_is_no_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("not a name\n")
    with pytest.raises(InputError, match="delete the file"), claim_instance(tmp_path, None, "up"):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="KEELWATCH_DATA_DIR"), claim_instance(tmp_path / "file" / "x", None, "up"):
        pass
