"""Addresses of mirrors: which are refused, what is filled in, and what is shown."""

from __future__ import annotations

import pytest
from prefect.utilities.schema_tools.validation import is_valid
from pydantic import TypeAdapter, ValidationError

from schemas.addresses import MirrorAddress, fill, redact, refuse_secrets
from schemas.errors import UsageError

MIRROR = TypeAdapter(MirrorAddress)
SCHEMA = {"type": "object", "properties": {"mirror": MIRROR.json_schema()}}
SOUND = (
    "http://host/",
    "https://host:8443/a/b@c/",
    "http://[::1]:8765",
    "file:///data/mnist",
    "/data/mnist",
    "data/mnist",
    "https://${MIRROR}@host/",
    "https://alice:${WORD}@host/mnist/",
    "https://${USER_1}:${WORD}@host/mnist",
    "https://host/mnist/?${SIGNATURE}",
    "https://host?token=${TOKEN}",
    "https://host/mnist/?key=${KEY}&token=${TOKEN}",
)
SECRETIVE = (
    "http://alice:s3cret@host/",
    "http://s3cret@host/",
    "http://${USER}:s3cret@host/",
    "http://${USER}s3cret@host/",
    "http://alice:${WORD}s3cret@host/",
    "https://host/mnist/?token=s3cret",
    "https://host/mnist/?${TOKEN}&token=s3cret",
    "https://host/mnist/?token=${TOKEN}s3cret",
    "https://host/#s3cret",
    "//alice:s3cret@host/",
    "ftp://alice:s3cret@host/",
    "file:///data?s3cret",
    "",
)


@pytest.mark.parametrize("address", SOUND)
def test_an_address_without_secrets_is_a_parameter(address: str) -> None:
    """What holds no secret passes: in the product, in pydantic, and in the JSON schema as Prefect's API enforces it."""
    assert refuse_secrets(address) == MIRROR.validate_python(address) == address
    assert is_valid({"mirror": address}, SCHEMA)


@pytest.mark.parametrize("address", SECRETIVE)
def test_an_address_with_a_secret_is_refused(address: str) -> None:
    """A user, password, query or fragment as it is gets refused by all three, and the message does not repeat it."""
    with pytest.raises(UsageError, match=r"Write \$\{NAME\}") as refused:
        refuse_secrets(address)
    assert "s3cret" not in str(refused.value)
    with pytest.raises(ValidationError):
        MIRROR.validate_python(address)
    assert not is_valid({"mirror": address}, SCHEMA)


def test_values_come_from_the_environment() -> None:
    """A value is encoded where it is user or password, stands as it is in a query, and nowhere else."""
    environment = {"NAME": "al/ice", "WORD": "p@ss:w?rd", "SIGNATURE": "a=1&b=%2F"}
    filled = fill("https://${NAME}:${WORD}@host/m/?${SIGNATURE}", environment)
    assert filled == "https://al%2Fice:p%40ss%3Aw%3Frd@host/m/?a=1&b=%2F"
    assert fill("/data/${NAME}", environment) == "/data/${NAME}"
    assert fill("http://[::1", environment) == "http://[::1"


@pytest.mark.parametrize("environment", [{}, {"TOKEN": ""}], ids=["missing", "empty"])
def test_a_missing_value_is_named(environment: dict[str, str]) -> None:
    """A variable that is not set is named, with where to set it, and the other values are not told."""
    with pytest.raises(UsageError, match=r"expected the environment variable TOKEN, found none.*worker") as refused:
        fill("https://${WORD}@host/?token=${TOKEN}", {"WORD": "s3cret", **environment})
    assert "s3cret" not in str(refused.value)


def test_redacted_addresses_keep_what_tells_mirrors_apart() -> None:
    """Scheme, host, port and path stay, and an address without secrets stays as it was written."""
    assert redact("https://user:word@host:8443/a/b?key=1#x") == "https://host:8443/a/b"
    assert redact("http:/mnist") == "http:/mnist"
    assert redact("http://[::1") == "a malformed address"
