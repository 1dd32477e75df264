"""What a mirror is asked for."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

from tasks.transport.part import MirrorFault

PLAIN = "/!$&'()*+,;=:@~"
"""What stands for itself in an address's path (RFC 3986, 3.3), beside letters, digits, `-`, `.` and `_`."""


def address_of(mirror: str, name: str) -> str:
    """
    Return the address of the file `name` on a mirror, percent-encoded.

    Over http, what follows a `?` in the name is a query; the mirror's own, such as a signature, stands behind it. In a
    folder the file is called as the name is, `?` and all.

    Raises: MirrorFault: the mirror's address is malformed, or neither http, https nor file.
    """
    try:
        parts = urlsplit(mirror)
    except ValueError:
        raise MirrorFault("no answer (the address is malformed)") from None
    if parts.scheme not in ("http", "https", "file"):
        raise MirrorFault("no answer (neither http, https nor file)")
    path, _, query = (name, "", "") if parts.scheme == "file" else name.partition("?")
    whole = f"{parts.path.rstrip('/')}/{quote(path, safe=PLAIN)}"
    return urlunsplit(parts._replace(path=whole, query="&".join(filter(None, (query, parts.query))), fragment=""))
