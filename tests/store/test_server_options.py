"""Connections to PostgreSQL notice that the network dropped them: what the driver sets on their sockets."""

from __future__ import annotations

import os
import socket
import time

from psycopg import pq
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from services.observability.watchdog import DOUBTFUL_AFTER
from services.store import dialect

HOST = "127.0.0.1"


def test_a_connection_that_was_dropped_is_noticed_before_a_step_counts_as_standing_still() -> None:
    """Of a server that takes the connection and then says nothing, as one behind a forgotten translation does."""
    with socket.create_server((HOST, 0)) as server:
        url = make_url(f"postgresql+psycopg://u@{HOST}:{server.getsockname()[1]}/x")
        info = make_conninfo(host=HOST, port=url.port, user="u", dbname="x", **dialect.server_options(url))
        connection = pq.PGconn.connect_start(info.encode())
        until = time.monotonic() + 30
        while connection.connect_poll() != pq.PollingStatus.READING and time.monotonic() < until:
            time.sleep(0.01)
        with socket.socket(fileno=os.dup(connection.socket)) as mine:
            alive = mine.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle, between, most, sent = (
                mine.getsockopt(socket.IPPROTO_TCP, option)
                for option in (
                    socket.TCP_KEEPIDLE,
                    socket.TCP_KEEPINTVL,
                    socket.TCP_KEEPCNT,
                    socket.TCP_USER_TIMEOUT,
                )
            )
        connection.finish()
    assert alive
    assert idle + between * most < DOUBTFUL_AFTER
    assert sent / 1000 < DOUBTFUL_AFTER


def test_what_the_url_says_of_it_holds() -> None:
    url = make_url("postgresql+psycopg://u@db/x?keepalives_idle=60&connect_timeout=3")
    given = dialect.server_options(url)
    assert not given.keys() & {"keepalives_idle", "connect_timeout"}
    assert given["keepalives"] == 1
