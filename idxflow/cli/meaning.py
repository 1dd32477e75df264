"""What a wrong word of a command line was probably meant to be: a name that is near, or what other programs call it."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from schemas.catalog import dataset_names
from schemas.training import Training

COMMANDS = {
    "train": "run",
    "fit": "run",
    "start": "run",
    "go": "run",
    "download": "run",
    "list": "runs",
    "ls": "runs",
    "log": "runs",
    "history": "runs",
    "status": "server status",
    "serve": "up",
    "deploy": "up",
    "ui": "server start",
    "dashboard": "server start",
    "stop": "server stop",
    "password": "server password",
    "diff": "compare",
    "info": "show",
    "report": "show",
    "check": "verify",
    "fsck": "verify",
    "clean": "gc",
    "prune": "gc",
    "delete": "gc",
    "rm": "gc",
    "tag": "alias",
    "sweep": "tune",
    "optimize": "tune",
    "search": "tune",
    "classify": "predict",
    "infer": "predict",
    "score": "predict",
    "push": "remote push",
    "pull": "remote pull",
    "dry-run": "plan",
}
"""Commands as other programs call them."""
OPTIONS = {
    "v": ("verbose",),
    "vv": ("verbose",),
    "debug": ("verbose",),
    "h": ("help",),
    "V": ("version",),
    "fix": ("repair",),
    "n": ("number", "trials", "most", "images"),
    "limit": ("number", "most", "images", "trials"),
    "max": ("number", "most", "images", "trials"),
    "top": ("number", "most", "images"),
    "last": ("number",),
    "count": ("number", "most"),
    "data": ("dataset",),
    "d": ("dataset",),
    "input": ("dataset",),
    "o": ("out", "csv", "best", "html"),
    "output": ("out", "csv", "best", "html"),
    "file": ("out", "csv", "html"),
    "y": ("yes",),
    "force": ("yes",),
    "delete": ("yes", "remove", "forget"),
    "rm": ("remove", "forget"),
    "r": ("refresh",),
    "no-cache": ("refresh",),
    "rebuild": ("refresh",),
    "recompute": ("refresh",),
    "rerun": ("refresh",),
    "j": ("workers",),
    "jobs": ("workers",),
    "cores": ("workers",),
    "threads": ("workers",),
    "store": ("home",),
    "dir": ("home",),
    "url": ("mirror", "remote"),
    "source": ("mirror",),
    "alias": ("promote",),
    "message": ("note",),
    "m": ("note",),
    "threshold": ("alert-below",),
    "min-accuracy": ("fail-below", "alert-below"),
    "filter": ("where",),
    "order": ("sort",),
    "order-by": ("sort",),
    "by": ("sort",),
    "config": ("profile",),
    "preset": ("profile",),
    "param": ("set",),
    "p": ("set",),
    "resize": ("size",),
}
"""Options as other programs call them: ours, of which the first that the command has is meant."""
FIELDS = {
    "lr": "learning_rate",
    "bs": "batch_size",
    "batch": "batch_size",
    "layers": "hidden",
    "units": "hidden",
    "neurons": "hidden",
    "early-stopping": "patience",
}
"""Fields of the training configuration, in others' words."""
LEAST_PERCENT = 2
"""A number from here on that should be a share is taken for a percentage."""
NONE: Mapping[str, str] = MappingProxyType({})


def did_you_mean(word: str, allowed: Iterable[str], written: Mapping[str, str] = NONE) -> str:
    """
    Return `Did you mean ...?` with the nearest allowed word; nothing where none is near.

    Args: written: how a word is written, where that is not the word itself.
    """
    close = difflib.get_close_matches(word, list(allowed), n=1)
    return _asked(written.get(close[0], close[0])) if close else ""


def of_command(word: str, names: Sequence[str], others: Sequence[str] = ()) -> str:
    """
    Say which command an unknown one was meant to be.

    Args: names: of the commands that are there.  others: of those that stand one level up, where there is one.
    """
    small = word.lower()
    if small in names:
        return _asked(small)
    if not others and (meant := COMMANDS.get(small)):
        return _asked(meant)
    if not others and (word in dataset_names() or (word and Path(word).exists())):
        return _asked(f"idxflow run --dataset {shlex.quote(word)}")
    return did_you_mean(small, names) or did_you_mean(small, others, {name: f"idxflow {name}" for name in others})


def of_option(word: str, value: str | None, options: Mapping[str, str]) -> str:
    """
    Say which option an unknown one was meant to be.

    Args:
        word:    as it was given, with its dashes.
        value:   what stands behind it, if anything does.
        options: those of the command: without their dashes, and as they are written.
    """
    bare = word.partition("=")[0].lstrip("-").replace("_", "-")
    fields = {name.replace("_", "-"): name for name in Training.model_fields if name != "profile"}
    written = dict(options)
    if "set" in options:
        assigned = {name: f"--set {_assignment(field, value)}" for name, field in {**fields, **FIELDS}.items()}
        written |= {name: text for name, text in assigned.items() if name not in options}
    small = bare.lower()
    if small in written:
        return _asked(written[small])
    for name in (*OPTIONS.get(bare, ()), *OPTIONS.get(small, ())):
        if name in options:
            return _asked(options[name])
    return did_you_mean(small, [name for name in written if len(name) > 1], written)


def of_word(word: str, options: Mapping[str, str], stages: Iterable[str] = ()) -> str:
    """
    Say which option a word was meant for that no option and no argument takes.

    Args: options: those of the command, as above.  stages: names of the stages, for `--refresh`.
    """
    if "number" in options and re.fullmatch("-?[0-9]+", word):
        return _asked(f"-n {word.lstrip('-')}")
    if "set" in options and (name := word.partition("=")[0]) != word:
        field = name.removeprefix("training.")
        known = field in Training.model_fields
        return _asked(f"--set {shlex.quote(f'training.{field}={word[len(name) + 1 :]}' if known else word)}")
    if "refresh" in options and word in stages:
        return _asked(f"--refresh {word}")
    if "dataset" in options:
        there = word if word in dataset_names() or (word and Path(word).exists()) else ""
        near = there or next(iter(difflib.get_close_matches(word, dataset_names(), n=1)), "")
        return _asked(f"--dataset {shlex.quote(near)}") if near else ""
    return ""


def of_number(found: object, most: float) -> str:
    """Say which share a percentage was meant to be: 95, `95` and `95%` are 0.95. Args: most: the highest allowed."""
    try:
        number = float(str(found).strip().rstrip("%"))
    except ValueError:
        return ""
    return _asked(f"{number / 100:g}") if most == 1 and LEAST_PERCENT <= number <= 100 else ""


def is_parted(assignment: str) -> bool:
    """Tell whether a value was cut by the shell at a space: a bracket or quotation mark in it is never closed."""
    text = assignment.partition("=")[2]
    return text.count("[") > text.count("]") or text.count('"') % 2 == 1 or text.count("'") % 2 == 1


def quoted(assignments: Sequence[str]) -> str:
    """
    Return the way to write an assignment that the shell has parted: in quotation marks.

    Args: assignments: the part with the name, and whatever followed it.
    """
    first, *others = assignments
    whole = [first]
    for part in others:
        if not is_parted(" ".join(whole)):
            break
        whole.append(part)
    if is_parted(" ".join(whole)):
        return "A bracket or quotation mark is not closed. "
    return f"The shell parts words at spaces; quote it: --set {shlex.quote(' '.join(whole))}. "


def _assignment(field: str, value: str | None) -> str:
    """Return how a field is set; a list has brackets."""
    if value is None or value.startswith("-"):
        value = "VALUE"
    elif field == "hidden" and not value.startswith("["):
        value = f"[{value.replace(' ', '')}]"
    return shlex.quote(f"training.{field}={value}") if "'" in value or " " in value else f"training.{field}={value}"


def _asked(word: str) -> str:
    return f"Did you mean {word}? "
