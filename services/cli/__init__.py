"""The command `keelwatch`."""

from services.cli.app import main

__all__ = ["main"]
