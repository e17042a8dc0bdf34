"""OpenVINO as this package imports it: without its telemetry, which on import would tell its maker of each process.

`openvino.tools.ovc` sends an event and keeps an id of this machine in the home directory. It falls back to a stub that
does nothing where its telemetry package cannot be imported: so it cannot, also where somebody installed it.
"""

from __future__ import annotations

import sys
from typing import Any, Final, cast

_TELEMETRY: Final = "openvino_telemetry"
cast(dict[str, Any], sys.modules)[_TELEMETRY] = None  # how Python says that a module is not to be imported

import openvino as ov  # noqa: E402
import openvino.opset13 as ops  # noqa: E402
from openvino import Node  # noqa: E402

__all__ = ["Node", "ops", "ov"]
