"""Looks for secrets in what is left of a run."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote


def traces(secrets: tuple[str, ...], text: bytes) -> list[str]:
    """Name the secrets that occur in `text`: as they are, as an address or a document has them, or in base 64."""
    found = []
    for secret in secrets:
        # Within a longer text base 64 has three ways to write it; digits that its neighbours share are left out.
        word = secret.encode()
        shifted = [
            b64encode(bytes(shift) + word)[-(-shift * 4 // 3) : (shift + len(word)) * 4 // 3] for shift in (0, 1, 2)
        ]
        escaped = [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]]
        encoded = [quote(secret, safe=""), quote(secret), *escaped]
        if any(form in text for form in (word, *(each.encode() for each in encoded), *shifted)):
            found.append(secret)
    return found


def traces_below(secrets: tuple[str, ...], folder: Path) -> list[str]:
    """Name every file below `folder` in which, or in whose name, a secret occurs."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files, f"nothing to look at in {folder}"
    return [f"{path}: {trace}" for path in files for trace in traces(secrets, bytes(path) + path.read_bytes())]
