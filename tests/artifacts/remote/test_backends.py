"""Each backend passes the suite of backends, or is refused by the probe with the reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
import requests

from artifacts.remote.opening import open_backend
from artifacts.remote.probing import ensure_sound, known, probe
from schemas.remote import RemoteError, RemotePlace
from tests.artifacts.remote.server import Bucket, bucket
from tests.processes import ending, free_port, until
from tests.suites.backends import BackendSuite

__all__ = ["bucket"]


class TestFolder(BackendSuite):
    """A folder."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> RemotePlace:
        """One that is not there yet."""
        return RemotePlace(url=(tmp_path / "shared").as_uri())


class TestOwnServer(BackendSuite):
    """The server of these tests, by way of obstore."""

    @pytest.fixture
    def place(self, bucket: Bucket) -> RemotePlace:
        """Its bucket."""
        return bucket.place


class TestMoto(BackendSuite):
    """Moto's server in this process."""

    many = False

    @pytest.fixture(scope="class")
    @classmethod
    def address(cls) -> Iterator[str]:
        """Its address."""
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()

    @pytest.fixture
    def place(self, address: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> RemotePlace:
        """A bucket of the test's own."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret-of-anybody")
        requests.post(f"{address}/moto-api/reset", timeout=10).raise_for_status()
        requests.put(f"{address}/team", timeout=10).raise_for_status()
        return RemotePlace(url="s3://team/shared", endpoint=address, region="us-east-1")

    def test_a_bucket_that_is_not_there_is_refused(self, place: RemotePlace, tmp_path: Path) -> None:
        """It is no bucket without objects: the error names it, and a run would go on without it."""
        nowhere = place.model_copy(update={"url": "s3://nobody/shared"})
        with pytest.raises(RemoteError, match="remote s3://nobody/shared: expected a bucket"):
            ensure_sound(open_backend(nowhere), nowhere, tmp_path)
        with pytest.raises(RemoteError, match="404"):
            list(open_backend(nowhere).list("artifacts/"))


AZURITE = shutil.which("azurite-blob")
ACCOUNT = "devstoreaccount1"
"""The account that Azurite has; its key is the one that everybody knows."""
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.mark.slow
@pytest.mark.skipif(AZURITE is None, reason="azurite-blob, of npm's azurite, is not installed")
class TestAzurite(BackendSuite):
    """Azurite: another maker's server, of another protocol."""

    many = False

    @pytest.fixture(scope="class")
    @classmethod
    def address(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        """Its address."""
        port, folder = free_port(), tmp_path_factory.mktemp("azurite")
        command = [
            str(AZURITE),
            "--location",
            str(folder),
            "--blobPort",
            str(port),
            "--skipApiVersionCheck",
            "--silent",
        ]
        with ending(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)):
            until(lambda: answers(port), 60)
            yield f"http://127.0.0.1:{port}/{ACCOUNT}"

    @pytest.fixture
    def place(self, address: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> RemotePlace:
        """A folder of the test's own in a container."""
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
        create_container(address)
        return RemotePlace(url=f"az://team/{secrets.token_hex(4)}", endpoint=address)


@pytest.mark.slow
def test_a_server_that_ignores_if_match_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LocalBucket overwrites whatever If-Match says: the probe says so, nothing but that is there, and it is noted."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret-of-anybody")
    (tmp_path / "data" / "team").mkdir(parents=True)
    port = free_port()
    program = Path(sys.executable).with_name("localbucket")
    command = [str(program), "--port", str(port), str(tmp_path / "data")]
    with ending(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)):
        until(lambda: answers(port), 30)
        place = RemotePlace(url="s3://team/shared", endpoint=f"http://127.0.0.1:{port}", region="us-east-1")
        with pytest.raises(RemoteError, match="If-Match is ignored"):
            ensure_sound(open_backend(place), place, tmp_path / "home")
    assert "If-Match is ignored" in getattr(known(tmp_path / "home", place), "refused", "")
    assert not list((tmp_path / "data").rglob("idxflow.json"))


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_a_server_that_ignores_a_condition_is_refused(bucket: Bucket, tmp_path: Path, header: str) -> None:
    """Either condition ignored is found, named, and remembered; once the server is mended it is asked again."""
    bucket.ignores.add(header)
    with pytest.raises(RemoteError, match=f"{header} is ignored"):
        ensure_sound(open_backend(bucket.place), bucket.place, tmp_path)
    found = known(tmp_path, bucket.place)
    assert found is not None
    assert header in found.refused
    assert "idxflow.json" not in bucket.named()
    bucket.ignores.clear()
    ensure_sound(open_backend(bucket.place), bucket.place, tmp_path)
    assert set(bucket.named()) == {"idxflow.json"}


def test_a_remote_of_a_newer_form_is_left_alone(bucket: Bucket, tmp_path: Path) -> None:
    """A marker of another form, or none that reads, refuses the remote."""
    for marker, found in ((b'{"idxflow": "artifacts", "format": 2}', "the form 2"), (b"?", "does not read")):
        bucket.put("idxflow.json", marker)
        assert found in probe(open_backend(bucket.place))


def answers(port: int) -> bool:
    """Tell whether somebody listens at a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def create_container(address: str) -> None:
    """Create the container `team`, if it is not there, as Azure's protocol has it: signed by the account's key."""
    now, version = formatdate(usegmt=True), "2023-11-03"
    path = f"/{ACCOUNT}/{ACCOUNT}/team"
    signed = f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{now}\nx-ms-version:{version}\n{path}\nrestype:container"
    proof = base64.b64encode(hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()).decode()
    headers = {"x-ms-date": now, "x-ms-version": version, "Authorization": f"SharedKey {ACCOUNT}:{proof}"}
    answer = requests.put(f"{address}/team?restype=container", headers=headers, timeout=10)
    if answer.status_code not in (201, 409):
        answer.raise_for_status()
