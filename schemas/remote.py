"""
Where a team's shared artifacts are: the address of a remote, which never holds a secret, and the error of one.

The error stands here and not in `schemas.errors`, which is in the key of every stage: no stage knows remotes.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.addresses import redact
from schemas.errors import IdxflowError, UsageError

SCHEMES = ("s3", "gs", "az", "file")
_BUCKET = re.compile(r"(?:s3|gs|az)://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](?:/[A-Za-z0-9._=@+-]+)*/?")
_FOLDER = re.compile(r"file:///[^?#\x00-\x1f]+")
_ENDPOINT = re.compile(r"https?://[^/?#@\s]+(?:/[^?#\s]*)?")
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
_DOTS = re.compile(r"/\.{1,2}(?:/|$)")
SECRETS = "Credentials come from the environment or the provider's usual files, never from an address."


class RemoteError(IdxflowError):
    """A remote is away, refuses, or has what cannot be believed. A run goes on without it."""


class RemotePlace(BaseModel):
    """
    A remote, as settings, the environment and an execution that travels name it: plain text without secrets.

    Without an address there is no remote.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str | None = Field(
        default=None,
        examples=["s3://BUCKET/PREFIX"],
        description="s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER, where artifacts "
        "are shared. Empty: nowhere.",
    )
    endpoint: str | None = Field(
        default=None, description="http or https address of a server that is not the provider's own."
    )
    region: str | None = Field(default=None, description="Region of the bucket, where the provider has regions.")

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if not url:
            return None
        if not (_BUCKET.fullmatch(url) or _FOLDER.fullmatch(url)) or _DOTS.search(url):
            raise UsageError(
                "remote.url",
                expected="s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER",
                found=redact(url),
                way_out=f"{SECRETS} Nothing has run.",
            )
        return url.rstrip("/")

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, endpoint: str | None) -> str | None:
        if endpoint and not _ENDPOINT.fullmatch(endpoint):
            raise UsageError(
                "remote.endpoint",
                expected="http://HOST:PORT or https://HOST",
                found=redact(endpoint),
                way_out=f"{SECRETS} Nothing has run.",
            )
        return endpoint.rstrip("/") if endpoint else None

    @field_validator("region")
    @classmethod
    def _check_region(cls, region: str | None) -> str | None:
        if region and not _REGION.fullmatch(region):
            expected, found = "the name of a region, as eu-central-1", "other characters"
            raise UsageError("remote.region", expected=expected, found=found, way_out="Nothing has run.")
        return region or None

    def __bool__(self) -> bool:
        """Tell whether there is a remote."""
        return self.url is not None

    def __str__(self) -> str:
        """Return the address; there is no secret in it."""
        return self.url or "no remote"

    @property
    def scheme(self) -> Literal["s3", "gs", "az", "file"]:
        """What it is kept by."""
        return cast(Literal["s3", "gs", "az", "file"], str(self.url).partition(":")[0])

    @property
    def key(self) -> str:
        """16 hexadecimal digits by which a home folder remembers this remote."""
        return hashlib.sha256(f"{self.url}\n{self.endpoint or ''}".encode()).hexdigest()[:16]
