"""tasks/address.py: what of an address is asked for, and what is shown."""

from __future__ import annotations

from tasks.address import address_of, redact


def test_redacted_addresses_keep_what_tells_mirrors_apart() -> None:
    """Scheme, host, port and path stay; a query also stays out of a file's path."""
    assert redact("https://user:word@host:8443/a/b?key=1#x") == "https://host:8443/a/b"
    assert redact("http://[::1") == "a malformed address"
    assert address_of("https://host/a/?key=1", "x.gz") == "https://host/a/x.gz?key=1"
