"""What a format is: how it is recognised, and how it becomes the fields of an exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """One form in which publishers send exchanges.

    Attributes:
        recognises: whether a JSON object is of this form (looks at its keys alone).
        to_native: the fields of `Exchange`, lists as tuples; raises FormatError.
    """

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    to_native: Callable[[Mapping[str, Any]], Json]
