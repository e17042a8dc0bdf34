"""The embedded broker as a child."""

from __future__ import annotations

import asyncio
import socket

import pytest

from services.errors import InputError
from services.stream.broker import EMBEDDED_CLUSTER, recognised
from services.stream.embedded_broker import check_free, start_broker


@pytest.mark.kafka
def test_it_is_a_cluster_that_was_never_seen_and_gone_when_stopped() -> None:
    brokers = [start_broker(), start_broker()]
    try:
        assert len({one.cluster for one in brokers}) == 2
        for one in brokers:
            found = asyncio.run(recognised(one.broker))
            assert (found.kind, found.cluster) == ("embedded", one.cluster)
            assert found.cluster.startswith(EMBEDDED_CLUSTER)
            assert 1_000_000 < one.resident() < 500_000_000
            assert not one.ended()
    finally:
        for one in brokers:
            one.stop()
    assert [one.ended() for one in brokers] == [True, True]
    assert [one.resident() for one in brokers] == [0, 0]


def test_a_taken_port_is_told_by_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"^--broker-port {port}: Address already in use on 127\.0\.0\.1"):
            start_broker(port)
        with pytest.raises(InputError, match=r"^--port"):
            check_free(port, "--port")
