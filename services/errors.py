"""What a person can mend: one clear line that names the field and the remedy, exit code 2."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input of a person: a file, an option, a value. The message is shown as it is, without a traceback."""
