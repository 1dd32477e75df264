"""What may name a remote, from whatever source of settings, and what the commands about one say."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.remote.opening import VARIABLES, remote_place, variables_of
from artifacts.store.store import Store
from idxflow.cli.ending import DONE, FAILED, WRONG_USAGE
from idxflow.cli.main import main
from idxflow.cli.settings import load_settings
from schemas.errors import UsageError
from schemas.remote import RemotePlace
from tests.artifacts.building import build

GOOD = (
    ("s3://team-bucket/a/prefix", "s3"),
    ("s3://team-bucket", "s3"),
    ("gs://team.bucket/x/", "gs"),
    ("az://container/p", "az"),
    ("file:///srv/shared folder", "file"),
)
BAD = (
    "s3://alice:hunter2secret@bucket/x",
    "s3://bucket/x?token=hunter2secret",
    "s3://bucket/x#hunter2secret",
    "s3://b",
    "s3://bucket/../other",
    "s3://bucket/a/./b",
    "s3://bucket//a",
    "S3://bucket/a",
    "https://bucket.example/a",
    "file://host/a",
    "file:///a/../b",
    "file:relative",
    "/srv/shared",
    "s3://bucket/a b",
    "s3://bucket/a\nb",
)


@pytest.mark.parametrize(("url", "scheme"), GOOD)
def test_addresses_of_buckets_and_folders(url: str, scheme: str) -> None:
    """A bucket with or without a prefix, or a folder; a slash at the end makes no other remote."""
    place = RemotePlace(url=url)
    assert (place.scheme, bool(place)) == (scheme, True)
    assert place == RemotePlace(url=url.rstrip("/") + "/")
    assert place.key == RemotePlace(url=url.rstrip("/")).key


@pytest.mark.parametrize("url", BAD)
def test_other_addresses_are_refused_without_their_secrets(url: str) -> None:
    """A user, a password, a query, a way out of the prefix, another scheme: refused, and no secret is repeated."""
    with pytest.raises(UsageError, match=r"remote\.url: expected s3://") as caught:
        RemotePlace(url=url)
    assert "hunter2secret" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"endpoint": "http://alice:hunter2secret@host:9000"},
        {"endpoint": "host:9000"},
        {"endpoint": "http://host/?key=hunter2secret"},
        {"region": "eu central"},
    ],
    ids=str,
)
def test_an_odd_endpoint_or_region_is_refused(given: dict[str, str]) -> None:
    """No secret is repeated of these either."""
    with pytest.raises(UsageError, match=r"remote\.(endpoint|region): expected") as caught:
        RemotePlace(url="s3://bucket/a", **given)
    assert "hunter2secret" not in str(caught.value)


def test_no_address_is_no_remote() -> None:
    """Nothing, and an empty text, are no remote."""
    assert not RemotePlace()
    assert not RemotePlace(url="")
    assert not remote_place()


def test_two_servers_with_one_bucket_name_are_two_remotes() -> None:
    """What was found of the one says nothing about the other."""
    one, other = (RemotePlace(url="s3://bucket/a", endpoint=f"http://host:{port}") for port in (1, 2))
    assert one.key != other.key


def test_settings_come_from_each_source(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag over the environment over idxflow.toml, each value for itself; and the environment hands them on."""
    (desk / "idxflow.toml").write_text('[remote]\nurl = "s3://toml/a"\nendpoint = "http://toml:1"\nregion = "toml-1"\n')
    monkeypatch.setenv(VARIABLES["endpoint"], "http://environment:2")
    assert load_settings({}).remote == RemotePlace(url="s3://toml/a", endpoint="http://environment:2", region="toml-1")
    given = load_settings({"remote": {"url": "s3://flag/a"}}).remote
    assert given == RemotePlace(url="s3://flag/a", endpoint="http://environment:2", region="toml-1")
    assert load_settings({}, ["remote.url=s3://set/a"]).remote.url == "s3://set/a"
    for name, value in variables_of(given).items():
        monkeypatch.setenv(name, value)
    assert remote_place() == given


def test_a_key_in_the_settings_is_refused_unread(desk: Path) -> None:
    """Credentials have no place in a settings file: the name is refused, the value not repeated."""
    (desk / "idxflow.toml").write_text('[remote]\nurl = "s3://toml/a"\nsecret_access_key = "hunter2secret"\n')
    with pytest.raises(UsageError, match="secret_access_key") as caught:
        load_settings({})
    assert "hunter2secret" not in str(caught.value)


def test_the_commands_of_a_remote(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder between two homes: status, push, pull, verify and gc say what they did; exit codes tell the rest."""
    ref = build(Store(desk / "a"), {"a": b"x" * 100_000})
    (desk / "idxflow.toml").write_text(f'[remote]\nurl = "{(desk / "shared").as_uri()}"\n')
    assert main(["remote", "push", "--home", "a"]) == DONE
    assert main(["remote", "status", "--home", "b"]) == DONE
    assert main(["remote", "pull", ref.version[:6], "--home", "b"]) == DONE
    assert main(["remote", "verify", "--home", "b"]) == DONE
    assert main(["remote", "gc", "--home", "b", "--grace", "2d"]) == DONE
    said = capsys.readouterr().out
    for text in (
        "1 artifact: 1 pushed; 100.0 kB.",
        "1 there, 0 of them here too; 0 only here",
        "1 artifact: 1 pulled; 100.0 kB.",
        "Checked: 1 artifact, 0 runs, 0 aliases",
        "Nothing to delete; kept 1 artifact",
    ):
        assert text in said
    (blob,) = (desk / "shared" / "blobs").iterdir()
    blob.write_bytes(b"y" * 100_000)
    assert main(["remote", "verify", "--home", "b"]) == FAILED
    assert main(["remote", "pull", ref.version[:6], "--home", "c"]) == FAILED
    assert main(["remote", "verify", "--fix", "--home", "b"]) == FAILED
    assert main(["remote", "verify", "--home", "b"]) == DONE
    assert main(["remote", "pull", "nothing", "--home", "c"]) == WRONG_USAGE


def test_without_a_remote_its_commands_say_where_to_name_one(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the line of the settings file."""
    assert main(["remote", "status"]) == WRONG_USAGE
    assert "[remote] url" in capsys.readouterr().err
