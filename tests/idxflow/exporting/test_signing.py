"""The signature: only a key that is its owner's alone signs, and model-signing's own command verifies it."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from artifacts.ref import Ref
from artifacts.store.store import Store
from idxflow.exporting.export import export
from idxflow.exporting.signing import read_key
from schemas.errors import UsageError
from tests.artifacts.archive.making import stored
from tests.idxflow.exporting.model_line import model_line

FORM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
PLAIN = serialization.NoEncryption()


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, passphrase: bytes | None = None) -> bytes:
    """Return a private key as PEM."""
    closed = serialization.BestAvailableEncryption(passphrase) if passphrase else PLAIN
    return key.private_bytes(*FORM, closed)


@pytest.fixture
def key(desk: Path) -> Path:
    """A key that signs, with its public half beside it."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(FORM[0], serialization.PublicFormat.SubjectPublicKeyInfo)
    (desk / "key.pub").write_bytes(public)
    (desk / "key").write_bytes(pem(private))
    (desk / "key").chmod(0o600)
    return desk / "key"


@pytest.fixture
def signed(store: Store, key: Path, desk: Path) -> Path:
    """An exported folder that is signed."""
    refs: dict[str, Ref] = model_line(store)
    done = export(store, stored(store, refs["train"]), desk / "model", sign=key)
    assert len(done.signed) == 64
    return desk / "model"


def verified(folder: Path, key: Path) -> bool:
    """Have model-signing's own command verify a folder."""
    command = [str(Path(sys.executable).with_name("model_signing")), "verify", "key"]
    options = ["--signature", str(folder / "model.sig"), "--public_key", str(key.with_name("key.pub")), str(folder)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is ("Verification succeeded" in done.stdout)
    return done.returncode == 0


def flip(path: Path, draw: np.random.Generator) -> Callable[[], object]:
    """Flip one bit of a file. Returns: what takes that back."""
    content = path.read_bytes()
    changed = bytearray(content)
    changed[draw.integers(len(content))] ^= 1 << int(draw.integers(8))
    path.write_bytes(changed)
    return lambda: path.write_bytes(content)


def test_the_third_party_accepts_it_and_no_other(signed: Path, key: Path) -> None:
    """Its command accepts the folder, under another name too, and refuses a flipped, a missing and a further file."""
    assert verified(signed, key)
    moved = signed.rename(signed.with_name("another name"))
    assert verified(moved, key)
    undo = flip(moved / "model.keras", np.random.default_rng(1))
    assert not verified(moved, key)
    undo()
    (moved / "more").touch()
    assert not verified(moved, key)
    (moved / "more").unlink()
    (moved / "SHA256SUMS").rename(moved.with_name("aside"))
    assert not verified(moved, key)


def test_the_signature_tells_no_path(signed: Path, desk: Path) -> None:
    """The signed statement names the folder's files and nothing else of this machine; the card says how to verify."""
    bundle = json.loads((signed / "model.sig").read_bytes())
    statement = json.loads(b64decode(bundle["dsseEnvelope"]["payload"]))
    named = {each["name"] for each in statement["predicate"]["resources"]}
    files = {path.relative_to(signed).as_posix() for path in signed.rglob("*") if path.is_file()}
    assert named == files - {"model.sig"}
    assert statement["subject"][0]["name"] == "model"
    assert str(desk) not in json.dumps(statement)
    card = (signed / "README.md").read_text()
    assert "model_signing verify key --signature model.sig --public_key KEY.pub ." in card
    assert bundle["verificationMaterial"]["publicKey"]["hint"] in card


@pytest.mark.slow
def test_each_of_a_hundred_flipped_bytes_is_refused(signed: Path, key: Path) -> None:
    """A bit flipped anywhere in any file of the folder, the signature too, is refused by the third party's command."""
    draw, files = np.random.default_rng(2026), sorted(path for path in signed.rglob("*") if path.is_file())
    for at in range(100):
        undo = flip(files[at % len(files)], draw)
        assert not verified(signed, key), files[at % len(files)].name
        undo()
    assert verified(signed, key)


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        (lambda: pem(ec.generate_private_key(ec.SECP256R1())), 0o640, r"mode 600\), found mode 640"),
        (lambda: pem(ec.generate_private_key(ec.SECP256R1()), b"secret"), 0o600, "found one with a passphrase"),
        (lambda: pem(ec.generate_private_key(ec.SECP256K1())), 0o600, "found secp256k1"),
        (lambda: pem(rsa.generate_private_key(65537, 2048)), 0o600, "found RSAPrivateKey"),
        (lambda: b"no key", 0o600, "found something else"),
        (lambda: b"", 0o600, "found something else"),
    ],
)
def test_another_key_is_refused(content: Callable[[], bytes], mode: int, told: str, store: Store, desk: Path) -> None:
    """A key that others can read, with a passphrase, of another kind or none is refused before anything is written."""
    refs = model_line(store)
    (desk / "odd").write_bytes(content())
    (desk / "odd").chmod(mode)
    with pytest.raises(UsageError, match=rf"--sign .*odd: expected .*{told}"):
        export(store, stored(store, refs["train"]), desk / "model", sign=desk / "odd")
    assert not (desk / "model").exists()


def test_a_key_in_the_store_is_refused(key: Path, desk: Path) -> None:
    """The home folder is copied and shared, so that no key in it signs; nor does one that is not there, or a folder."""
    with pytest.raises(UsageError, match=r"expected a key outside of the home folder"):
        read_key(key, desk)
    with pytest.raises(UsageError, match=r"found No such file or directory\. Make one: `openssl ecparam"):
        read_key(desk / "none", desk / "home")
    with pytest.raises(UsageError, match=r"--sign"):
        read_key(desk, desk / "home")
