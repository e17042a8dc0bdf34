"""Charts as SVG, made here: for the pages with classes of their style sheet, for pictures with colours. Pure.

`rates_chart(Rates(...))` for a page, `rates_picture(Rates(...))` for a picture, `sparkline`, `shares` and
`evidence_bar` for a page. What a page's function returns is put into a template as it is: `{{ chart }}`; the macro
`figure(chart)` of charts.html adds the sentence below it and the numbers as a table.
"""

from services.charts.rates import rates_chart, rates_picture
from services.charts.small import evidence_bar, shares, sparkline
from services.charts.values import Band, Chart, Mark, MarkKind, Picture, Point, Rates, Share, point

__all__ = [
    "Band",
    "Chart",
    "Mark",
    "MarkKind",
    "Picture",
    "Point",
    "Rates",
    "Share",
    "evidence_bar",
    "point",
    "rates_chart",
    "rates_picture",
    "shares",
    "sparkline",
]
