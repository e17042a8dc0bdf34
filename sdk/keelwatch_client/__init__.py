"""Publishes exchanges with language models to Keelwatch; never blocks or breaks the application that does."""

from __future__ import annotations

from keelwatch_client.buffer import DropReason, PublisherStats
from keelwatch_client.context import context
from keelwatch_client.kafka_transport import KafkaTransport
from keelwatch_client.observe import observe
from keelwatch_client.publisher import Publisher
from keelwatch_client.wrapping import wrap

__all__ = ["DropReason", "KafkaTransport", "Publisher", "PublisherStats", "context", "observe", "wrap"]
