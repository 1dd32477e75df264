"""What makes an artifact what it is, and the key that follows from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from artifacts.ref import Ref
from schemas.parameters import Parameters

FORMAT = 2
"""Number of the store's own format; the store's code is not in any key."""


class KeyParts(BaseModel):
    """
    Everything that a stage's result depends on.

    Args:
        stage:      its name.
        parameters: plain values and `Parameters` models, by argument; nothing that says where a thing lies.
        inputs:     content digests of the artifacts it takes, by argument, in lists and dicts as given.
        code:       digest of each file that it runs or fills, as `tasks/explaining/page.py`.
        packages:   version of each package that decides the result's bits.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    format: int = FORMAT
    stage: str
    parameters: dict[str, Any]
    inputs: dict[str, Any]
    code: dict[str, str]
    packages: dict[str, str]

    @property
    def key(self) -> str:
        """SHA-256 of the parts as canonical JSON: 64 hexadecimal digits."""
        return digest_of(self.model_dump(mode="json"))

    @property
    def version(self) -> str:
        """The first 16 digits of the key."""
        return self.key[:16]


def storage_key(stage: str, version: str) -> str:
    """Return the Prefect cache key of an artifact: below the store's folder, the file of its result."""
    return f"{stage}/{version}/result.json"


def canonical_json(value: object) -> bytes:
    """Write a JSON value in one way only: keys sorted, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(value: object) -> str:
    """Return the SHA-256 of a JSON value in its canonical form."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def content_digest(files: Mapping[str, str]) -> str:
    """Return the digest of an artifact from its file names and the digest of each file's content."""
    return digest_of(dict(files))


def plain(value: object) -> Any:
    """
    Turn one argument of a stage into its JSON form for a key.

    References become their content digests; fields that a model keeps outside of keys, or has no value for, are left
    out (`schemas.parameters.Parameters`).

    Raises: TypeError: a value that has no stable form.
    """
    match value:
        case Ref():
            return value.digest
        case Parameters():
            absent = {name for name in value.when_given if getattr(value, name) is None}
            fields = type(value).model_fields.keys() - value.outside_key - absent
            return {name: plain(getattr(value, name)) for name in sorted(fields)}
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {str(name): plain(item) for name, item in value.items()}
    raise TypeError(f"{type(value).__name__} has no stable form for a cache key")


def leaves(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value below a nested one with its dotted path; a list of plain values is one."""
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        value = {str(place): item for place, item in enumerate(value)}
    if not isinstance(value, Mapping):
        yield path, value
        return
    for name, item in value.items():
        yield from leaves(item, f"{path}.{name}" if path else name)


def references(value: object) -> list[Ref]:
    """List every reference in an argument, in order."""
    match value:
        case Ref():
            return [value]
        case list() | tuple():
            return [ref for item in value for ref in references(item)]
        case dict():
            return [ref for item in value.values() for ref in references(item)]
    return []
