"""
Artifacts of one content.

After an edit that changes no content a run computes a new version, and goes on with what was made from the old one.
Once that is gone, its twin stands for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from artifacts.archive.order import Order
from artifacts.manifest import Input, Manifest


class Twins:
    """
    The artifacts of each content.

    Args:
        manifests: of all that count.
        order:     which of them are newer.
    """

    def __init__(self, manifests: Iterable[Manifest], order: Order) -> None:
        self._newest: dict[tuple[str, str], Manifest] = {}
        self._known: set[tuple[str, str, str]] = set()
        for manifest in sorted(manifests, key=lambda each: (order(each), each.version)):
            self._newest[manifest.stage, manifest.digest] = manifest
            self._known.add((manifest.stage, manifest.version, manifest.digest))

    def of(self, taken: Input) -> Manifest | None:
        """Return the newest twin of what was taken, where that is gone, or was rebuilt with other content."""
        if (taken.stage, taken.version, taken.digest) in self._known:
            return None
        return self._newest.get((taken.stage, taken.digest))
