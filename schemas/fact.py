"""What can happen to a route and is kept of it for good."""

from __future__ import annotations

from schemas.alert import Alert
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run

Fact = Alert | Change | Run | Comparison | Decision
