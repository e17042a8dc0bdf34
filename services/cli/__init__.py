"""The command `keelwatch`."""

import gc

gc.disable()  # nothing of what is imported is garbage, and looking for some takes a fifth of a command's start

from services.cli.app import main  # noqa: E402

gc.freeze()
gc.enable()

__all__ = ["main"]
