"""Names of files, the letter case of their endings ignored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def folded(name: str) -> str:
    """Return a name with its ending in small letters: `a.JPG` is `a.jpg`; one without an ending as it is."""
    if name.isascii() and name.islower():
        return name
    folder, slash, last = name.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    return f"{folder}{slash}{stem}{dot}{suffix.lower()}" if dot and stem else name


def all_folded(names: Iterable[str]) -> list[str]:
    """Fold names; those that would be alike stay as they are."""
    names = list(names)
    found = list(map(folded, names))
    if len(set(found)) == len(found):
        return found
    times = Counter(found)
    return [name if times[each] > 1 else each for name, each in zip(names, found, strict=True)]
