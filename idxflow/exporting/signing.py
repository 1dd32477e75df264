"""
A signature over a whole exported folder, by model-signing: whoever has the public key can verify who exported it.

The key is an elliptic curve's private one, in a file of its owner's alone and without a passphrase: that is all that
model-signing takes. It is read here and by model-signing, and goes nowhere.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from idxflow.exporting.formats.form import require
from schemas.errors import UsageError

SIGNATURE = "model.sig"
OPTION = "--sign"
CURVES = {"secp256r1": "prime256v1", "secp384r1": "secp384r1", "secp521r1": "secp521r1"}
"""What model-signing takes, with what openssl calls each."""
MAKE = "Make one: `openssl ecparam -name prime256v1 -genkey -noout -out KEY && chmod 600 KEY`. Nothing was exported."


@dataclass(frozen=True)
class Key:
    """A private key that can sign. Args: file: where it lies.  public: SHA-256 of its public half as PEM."""

    file: Path
    public: str


def read_key(file: Path, home: Path) -> Key:
    """
    Look at a private key, before anything is computed.

    Args:   home: the home folder, which is no place for a key: it is copied and shared.
    Raises: UsageError: model-signing is not installed; no key, not the owner's alone, in the home folder, or of a kind
            that model-signing does not take.
    """
    require(OPTION, ("model_signing", "OpenSSL", "cryptography"))
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    subject = f"{OPTION} {file}"
    try:
        status = file.stat()
        content = file.read_bytes() if stat.S_ISREG(status.st_mode) else b""
    except OSError as error:
        raise UsageError(
            subject, expected="a file with a private key", found=error.strerror or str(error), way_out=MAKE
        ) from error
    if file.resolve().is_relative_to(home.resolve()):
        raise UsageError(
            subject,
            expected="a key outside of the home folder",
            found="one in it, where whoever copies or reads the store has it",
            way_out="Move it, and take it for known if others could read it. Nothing was exported.",
        )
    if status.st_mode & 0o077 or status.st_uid != os.geteuid():
        raise UsageError(
            subject,
            expected="a file that is yours, and that nobody else can read (mode 600)",
            found=f"mode {stat.S_IMODE(status.st_mode):03o}{' of another user' * (status.st_uid != os.geteuid())}",
            way_out="`chmod 600` it, and make a new key if others could read it. Nothing was exported.",
        )
    expected = f"a private key on the curve {', '.join(CURVES.values())}, as PEM, without a passphrase"
    try:
        key = serialization.load_pem_private_key(content, None)
    except TypeError as error:  # how cryptography says that it asks for a passphrase
        raise UsageError(subject, expected=expected, found="one with a passphrase", way_out=MAKE) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(subject, expected=expected, found="something else", way_out=MAKE) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        kind = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else type(key).__name__.lstrip("_")
        raise UsageError(subject, expected=expected, found=kind, way_out=MAKE)
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Key(file.resolve(), hashlib.sha256(key.public_key().public_bytes(*form)).hexdigest())


def sign_folder(folder: Path, key: Key, signature: Path) -> None:
    """
    Sign every file of a folder.

    Args: signature: where to, outside of the folder: model-signing would note the path of what it leaves out.
    """
    from model_signing import hashing, signing

    # By itself it leaves out what looks like git's.
    everything = hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)  # type: ignore[no-untyped-call]
    signer = signing.Config().use_elliptic_key_signer(private_key=key.file)  # type: ignore[no-untyped-call]
    signer.set_hashing_config(everything).sign(folder, signature)
