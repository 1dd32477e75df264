"""The terminal: titles, class names, file names, answers of mirrors and errors do not steer it, whatever they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

from schemas.text import visible


class Terminal(rich.console.Console):
    """Rich's console, on which no text is more than text; what rich itself sends to steer the terminal stays."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render text as it may be shown."""
        return _shown(super().render(renderable, options))


def _shown(segments: Iterable[Segment]) -> Iterator[Segment]:
    for segment in segments:
        text = segment.text if segment.control else visible(segment.text)
        yield segment if text == segment.text else Segment(text, segment.style)
