"""What a mirror is asked for."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from tasks.part import MirrorFault


def address_of(mirror: str, name: str) -> str:
    """
    Return the address of the file `name` on a mirror; a query, such as a signature, stays at the end.

    Raises: MirrorFault: the mirror's address is malformed, or neither http, https nor file.
    """
    try:
        parts = urlsplit(mirror)
    except ValueError:
        raise MirrorFault("no answer (the address is malformed)") from None
    if parts.scheme not in ("http", "https", "file"):
        raise MirrorFault("no answer (neither http, https nor file)")
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}", fragment=""))
