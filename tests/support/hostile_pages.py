"""Forty texts that would run, load, frame or mark something up on a page that does not escape them.

Each that can run sets `data-ran` on the document's element, or asks the page's own server for /ran.
"""

from __future__ import annotations

_RUN = "document.documentElement.dataset.ran=1;fetch('/ran')"
_HEX = "".join(f"&#x{ord(letter):x};" for letter in _RUN)

PAYLOADS: tuple[str, ...] = (
    f"<script>{_RUN}</script>",
    f"</script><script>{_RUN}</script>",
    f"<ScRiPt >{_RUN}</sCrIpT\t\n bar>",
    f"<script src=/ran></script>{_RUN}",
    f'<img src=x onerror="{_RUN}">',
    f"<img src=x onerror='{_RUN}'>",
    f"<img src=/ran onload={_RUN}>",
    f"<svg onload={_RUN}>",
    f"<svg/onload={_RUN}//",
    f"<svg><script>{_RUN}</script></svg>",
    f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={_RUN}>",
    f"<body onload={_RUN}>",
    f"<iframe srcdoc='<script>parent.{_RUN}</script>'>",
    f'<iframe src="javascript:parent.{_RUN}">',
    "<iframe src=/ran></iframe>",
    "<object data=/ran></object><embed src=/ran>",
    f"<input autofocus onfocus={_RUN}>",
    f"<select autofocus onfocus={_RUN}>",
    f"<details open ontoggle={_RUN}>",
    f"<video><source onerror={_RUN}></video>",
    f"<audio src=x onerror={_RUN}>",
    f"<marquee onstart={_RUN}>",
    f'"><script>{_RUN}</script>',
    f"'><script>{_RUN}</script>",
    f'" autofocus onfocus="{_RUN}" x="',
    f"' onmouseover='{_RUN}' style='position:fixed;inset:0",
    f"--><script>{_RUN}</script><!--",
    f"]]><script>{_RUN}</script>",
    f"</title><script>{_RUN}</script>",
    f"</textarea></style></dd></details><script>{_RUN}</script>",
    f"<a href='javascript:{_RUN}' id=x>x</a><script>x.click()</script>",
    f"javascript:{_RUN}",
    f"<meta http-equiv=refresh content='0;url=javascript:{_RUN}'>",
    "<meta http-equiv=refresh content='0;url=/ran'><base href=//127.0.0.1:1/>",
    "<link rel=stylesheet href=/ran><style>@import '/ran';*{background:url(/ran)}</style>",
    f"<form action=/ran><button autofocus onfocus={_RUN}>Acknowledge</button></form>",
    f"&lt;script&gt;{_RUN}&lt;/script&gt;<img src=x onerror={_HEX}>",
    "{{ 7 * 7 }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}${7*7}<%= 7*7 %>",
    f"\u202e\u2066<script>{_RUN}</script>\u0000\u000b\ufeff\u2028\ud7ff\U000e0041",
)
"""What each says is text, and nothing but text."""
