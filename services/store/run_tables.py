"""The tables of runs of suites, and of the schedules that ask for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Index, Text
from sqlmodel import Field

from services.store.tables import Base, UtcDateTime


class RunRow(Base, table=True):
    """One run of a suite, written once; `payload` is the whole result as JSON."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "route", "suite", "ts"),)
    id: str = Field(primary_key=True)
    route: str
    identity: str
    suite: str
    suite_sha256: str
    moment: str
    cause: str | None = None
    status: str
    reason: str | None = Field(default=None, sa_type=Text)
    ts: datetime = Field(sa_type=cast(Any, UtcDateTime))
    payload: str = Field(sa_type=Text)


class RunAnswerRow(Base, table=True):
    """One answer of a run that is under way; they go when the run is stored."""

    __tablename__ = "run_answers"
    run: str = Field(primary_key=True)
    item: str = Field(primary_key=True)
    repeat: int = Field(primary_key=True)
    payload: str = Field(sa_type=Text)


class ScheduleRow(Base, table=True):
    """When the suites of a route are run by the clock; `origin` is file or command. `suites` is a JSON list, or null.

    No fire time before `since` counts.
    """

    __tablename__ = "schedules"
    route: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    suites: str | None = Field(default=None, sa_type=Text)
    cron: str
    timezone: str
    enabled: bool
    origin: str
    since: datetime = Field(sa_type=cast(Any, UtcDateTime))


class FireTimeRow(Base, table=True):
    """One fire time of a schedule, whoever noticed it first; `missed` says why nothing was run."""

    __tablename__ = "fire_times"
    route: str = Field(primary_key=True)
    schedule: str = Field(primary_key=True)
    fire_time: datetime = Field(primary_key=True, sa_type=cast(Any, UtcDateTime))
    missed: str | None = Field(default=None, sa_type=Text)
