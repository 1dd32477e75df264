"""Temporary signature while the floor is being built; replaced by the real one."""
from collections.abc import Callable
from typing import Any

class Stage:
    def __init__(self, function: Callable[..., Any], stage: str, name: str, packages: tuple[str, ...], on_main_thread: bool) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

def stage(stage: str, *, name: str = "", packages: tuple[str, ...] = (), on_main_thread: bool = False) -> Callable[[Callable[..., Any]], Stage]:
    return lambda function: Stage(function, stage, name, packages, on_main_thread)
