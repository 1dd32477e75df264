"""
The secrets that this process knows, and how they are kept out of texts.

What an address refers to by `${NAME}`, and what a .netrc file says, is remembered here when it is used. A text of a
library goes through `conceal` before anybody sees it: it may hold a secret as it is, or as it was encoded on its way.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""Bytes of a secret that is searched for: less would garble every text."""
HIDDEN = "***"
_KEPT_IN_QUERIES = "!#$%&'()*+,/:;=?@[]~"
"""What requests leaves as it is when it encodes an address."""
_USER = re.compile(r"(?<=://)[^/\s?#'\"]*@")
_QUERY = re.compile(r"(\b(?:https?|file)://[^\s?#'\"]*)[?#][^\s'\"]*")
_forms: set[str] = set()
_lock = threading.Lock()


def remember(secret: str) -> None:
    """Keep a secret out of every text from now on, in each of the forms in which it travels."""
    given = secret.encode("utf-8", "surrogateescape")
    forms = {secret, secret.strip(), secret.encode("unicode_escape").decode(), repr(secret)[1:-1]}
    forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(given)[2:-1]}
    forms |= {quote(given, safe=""), quote(given), quote_plus(given), quote(given, safe=_KEPT_IN_QUERIES)}
    forms |= {each.lower() for each in forms if "%" in each}
    forms.add(b64encode(given).decode())
    with _lock:
        _forms.update(form for form in forms if len(form.encode("utf-8", "surrogatepass")) >= SHORTEST)


def remember_login(user: bytes, password: bytes) -> None:
    """Keep a password out of every text from now on, and what is sent of it by HTTP's basic authentication."""
    for secret in (password, b64encode(b"%b:%b" % (user, password))):
        remember(secret.decode("utf-8", "surrogateescape"))


def conceal(text: str) -> str:
    """Return a text without the secrets that this process knows."""
    for form in sorted(_forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def conceal_all(text: str) -> str:
    """Return a text of a library's without secrets: addresses lose user, password, query and fragment as well."""
    return _QUERY.sub(r"\1", _USER.sub("", conceal(text)))
