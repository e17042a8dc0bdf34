"""Pictures as PNG: resvg draws an SVG with the fonts that lie beside this file, and none of the machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import resvg_py

FONTS: Final = Path(__file__).parent / "fonts"
ZOOM: Final = 2.0
"""Pixels for each unit: sharp on the screens of phones."""


def png(svg: str, zoom: float = ZOOM) -> bytes:
    """A picture of a drawing that carries its own colours; the same drawing gives the same bytes.

    Raises:
        ValueError: if `svg` is none.
    """
    fonts = [str(path) for path in sorted(FONTS.glob("*.ttf"))]
    made = resvg_py.svg_to_bytes(
        svg_string=svg,
        zoom=zoom,
        skip_system_fonts=True,
        font_files=fonts,
        font_family="Lato",
        sans_serif_family="Lato",
    )
    return bytes(made)
