"""Charts as SVG, made here: for the pages with classes of their style sheet, for pictures with colours.

`rates_chart(Rates(...))` for a page, `rates_picture(Rates(...))` for a picture, `shares` and `evidence_bar` for a
page. What a page's function returns is put into a template as it is: `{{ chart }}`; the macro `figure(chart)` of
charts.html adds the sentence below it and the numbers as a table. Pure, but for `png` and `incident_chart`.
"""

from services.charts.rate_chart import rates_chart, rates_picture
from services.charts.small_charts import evidence_bar, shares
from services.charts.values import Band, Chart, ChartMark, ChartPoint, ChartShare, MarkKind, Picture, Rates, point

__all__ = [
    "Band",
    "Chart",
    "ChartMark",
    "ChartPoint",
    "ChartShare",
    "MarkKind",
    "Picture",
    "Rates",
    "evidence_bar",
    "point",
    "rates_chart",
    "rates_picture",
    "shares",
]
