"""`keelwatch` whom Apache Kafka gives up after 6 s, the least it allows: `python -m tests.chaos.quick_session`."""

from services.cli.app import main
from services.stream import broker

SECONDS = 6.0

if __name__ == "__main__":
    broker.SESSION_SECONDS = SECONDS  # type: ignore[misc]
    main()
