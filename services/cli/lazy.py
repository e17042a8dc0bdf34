"""Commands that are imported when they run: what help and completion show costs no import of what is behind it."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup

PLAIN: Final[dict[str, Any]] = {"pretty_exceptions_enable": False, "rich_markup_mode": None}
"""How help and errors look, in every part of the command line."""


class Later(TyperCommand):
    """A command, or group of commands, that is not imported yet.

    Args:
        name: as a person types it.
        place: `module:name` of a function or of a `typer.Typer`.
        help: its first sentence, as its own help says it.
    """

    def __init__(self, name: str, place: str, help: str) -> None:
        super().__init__(name, help=help, rich_markup_mode=None)
        self._place = place

    def load(self) -> Any:
        """The command itself."""
        module, _, attribute = self._place.partition(":")
        gc.disable()  # nothing of what is imported is garbage, and looking for some takes a fifth of a command's start
        found = getattr(import_module(module), attribute)
        gc.freeze()
        gc.enable()
        alone = typer.Typer(add_completion=False, **PLAIN)
        if isinstance(found, typer.Typer):
            alone.add_typer(found, name=self.name)
        else:
            alone.command(self.name)(found)
        return typer.main.get_group(alone).commands[str(self.name)]


class LazyGroup(TyperGroup):
    """A group that knows of each command its name and first sentence, and imports the one that runs."""

    later: ClassVar[tuple[Later, ...]] = ()
    """The commands, in the order in which help lists them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for command in self.later:
            self.add_command(command)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that these words name, imported, and the words after its name."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Later) else command, rest
