"""The formats of JSON schemas that a text can be held to, each as an expression of what is written for it.

Every text of one is valid by the format's own standard, day by day and byte by byte; where the standard allows more
forms, the ordinary ones are written. Knows nothing of who judges a format, or of schemas.
"""

from __future__ import annotations

_DATE = (
    r"(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
_TIME = (
    r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
    r"|23:59:60(?:\.[0-9]{1,9})?(?:[zZ]|\+00:00))"
)
_OF_DAY = r"T(?:[0-9]{1,9}H(?:[0-9]{1,9}M(?:[0-9]{1,9}S)?)?|[0-9]{1,9}M(?:[0-9]{1,9}S)?|[0-9]{1,9}S)"
_DAYS = r"(?:[0-9]{1,9}Y(?:[0-9]{1,9}M(?:[0-9]{1,9}D)?)?|[0-9]{1,9}M(?:[0-9]{1,9}D)?|[0-9]{1,9}D)"
_DURATION = rf"P(?:{_DAYS}(?:{_OF_DAY})?|{_OF_DAY}|[0-9]{{1,9}}W)"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?:{_BYTE}\.){{3}}{_BYTE}"
_H = r"[0-9a-fA-F]{1,4}"
_IPV6 = "|".join(
    [
        rf"(?:{_H}:){{7}}{_H}",
        rf"(?:{_H}:){{1,7}}:",
        *(rf"(?:{_H}:){{1,{7 - behind}}}(?::{_H}){{1,{behind}}}" for behind in range(1, 7)),
        rf":(?::{_H}){{1,7}}",
        "::",
    ]
)
_NAME = r"[a-zA-Z0-9](?:-?[a-zA-Z0-9]){0,30}"
_HOST = rf"{_NAME}(?:\.{_NAME}){{0,2}}"
_ATOM = r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]"
_EMAIL = rf"{_ATOM}(?:\.?{_ATOM}){{0,31}}@{_HOST}"
_CHARACTER = r"(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})"
_SEGMENTS = rf"{_CHARACTER}+(?:/{_CHARACTER}*)*"
_URI = (
    rf"[a-zA-Z][a-zA-Z0-9+.-]*:(?://{_HOST}(?::[0-9]{{1,5}})?(?:/{_CHARACTER}*)*|/(?:{_SEGMENTS})?|{_SEGMENTS})"
    rf"(?:\?(?:{_CHARACTER}|[/?])*)?(?:#(?:{_CHARACTER}|[/?])*)?"
)
_X = "[0-9a-fA-F]"
_BASE64 = "(?:{0}{{4}})*(?:{0}{{2}}==|{0}{{3}}=)?"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_VERSIONS = {
    f"uuid{version}": f"{_X}{{8}}-{_X}{{4}}-{version}{_X}{{3}}-[89abAB]{_X}{{3}}-{_X}{{12}}"
    for version in (1, 3, 4, 5, 6, 7, 8)
}
FREE = frozenset(("binary", "directory-path", "file-path", "password", "path"))
"""Formats that any string is of."""
WRITTEN = {
    name: f"^(?:{expression})$"
    for name, expression in {
        "base64": _BASE64.format("[A-Za-z0-9+/]"),
        "base64url": _BASE64.format("[A-Za-z0-9_-]"),
        "date": _DATE,
        "date-time": f"{_DATE}[tT]{_TIME}",
        "duration": _DURATION,
        "email": _EMAIL,
        "hostname": _HOST,
        "ipv4": _IPV4,
        "ipv6": _IPV6,
        "time": _TIME,
        "uri": _URI,
        "uuid": _UUID,
        **_VERSIONS,
    }.items()
}
"""By the name of the format, in the syntax of Rust."""
