"""Looks for secrets in what is left of a run."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from urllib.parse import quote


def traces(secrets: tuple[str, ...], text: bytes) -> list[str]:
    """Name the secrets that occur in `text`: as they are, as an address has them, or in base 64."""
    found = []
    for secret in secrets:
        # Within a longer text base 64 has three ways to write it; digits that its neighbours share are left out.
        word = secret.encode()
        shifted = [
            b64encode(bytes(shift) + word)[-(-shift * 4 // 3) : (shift + len(word)) * 4 // 3] for shift in (0, 1, 2)
        ]
        if any(form in text for form in (word, quote(secret, safe="").encode(), *shifted)):
            found.append(secret)
    return found


def traces_below(secrets: tuple[str, ...], folder: Path) -> list[str]:
    """Name every file below `folder` in which, or in whose name, a secret occurs."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files, f"nothing to look at in {folder}"
    return [f"{path}: {trace}" for path in files for trace in traces(secrets, bytes(path) + path.read_bytes())]
