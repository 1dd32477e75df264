"""
A diagnosis of this installation and of one home folder, fit to be pasted into a bug report.

It is looked at and not worked with: nothing is changed, TensorFlow and Prefect are not imported, no network is asked
but this machine's own server. This user's and this host's names, and secrets, are written over; values of variables are
in it only where they are plain numbers and words of numerics.
"""

from __future__ import annotations

import getpass
import os
import platform
import pwd
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from artifacts.store.store import Store
from idxflow.diagnosing.machine import Blas, Disk, Memory, blas_of, cores, disk_of, memory
from idxflow.diagnosing.stores import SOUND, StoreFacts, look_at
from idxflow.server.database import database_file
from idxflow.server.environment import user_api_url
from idxflow.server.local import HOST, PORTS, api_answers, find_server
from schemas.counts import counted
from schemas.errors import IdxflowError, StoreError, UsageError
from schemas.secrets import conceal_all

NUMERICS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_CPP_MIN_LOG_LEVEL",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTRAOP_THREADS",
    "KERAS_BACKEND",
    "CUDA_VISIBLE_DEVICES",
)
"""Variables whose values are told: what decides how is computed."""
OURS = re.compile("IDXFLOW_|PREFECT_|TF_|KERAS_|OMP_|MKL_|OPENBLAS_|CUDA_|AWS_ENDPOINT|HTTPS?_PROXY|NO_PROXY")
"""Variables whose names are told."""
NOT_RUN = ("tests", "lint", "build")
"""Extras whose packages no run imports."""
LEAST_FREE = 10**9
"""Bytes of free disk below which a run may not end."""
SHORTEST = 2
"""Letters of a name that is searched for."""


class Package(BaseModel, frozen=True):
    """An installed package that idxflow asks for."""

    version: str
    asked: str = Field(default="", description="what idxflow asks for, where the version is none of that")


class Software(BaseModel, frozen=True):
    """What runs. Args: system: name and release of the operating system."""

    idxflow: str
    python: str
    system: str
    packages: dict[str, Package]


class ServerFacts(BaseModel, frozen=True):
    """The Prefect server of the home folder. Args: answers, address, since: of one that runs; else empty."""

    running: bool
    answers: bool = False
    address: str = ""
    since: str = Field(default="", description="UTC, ISO 8601")
    log: int | None = Field(default=None, description="bytes")
    database: int | None = Field(default=None, description="bytes")
    chosen: str = Field(default="", description="where the API is that PREFECT_API_URL names instead")
    free_port: int | None = Field(description="the next server's; None: there is none")


class Problem(BaseModel, frozen=True):
    """Something that is not as it has to be."""

    subject: str
    found: str
    way_out: str


class Diagnosis(BaseModel):
    """The document of `idxflow doctor --json`."""

    model_config = ConfigDict(frozen=True)
    software: Software
    cores: int
    memory: Memory
    blas: tuple[Blas, ...]
    home: str = Field(description="the home folder, as seen from the working folder or the user's")
    disks: tuple[Disk, ...]
    store: StoreFacts | None = Field(description="None: there is none")
    server: ServerFacts
    settings: tuple[str, ...] = Field(description="files with settings of idxflow in the working folder")
    variables: tuple[str, ...] = Field(description="names of those that are set; of numerics with their values")
    problems: tuple[Problem, ...]


def diagnose(option: str | None = None) -> Diagnosis:
    """
    Look at everything.

    Args: option: the home folder that was given; None: what the settings name.
    """
    wrong: list[Problem] = []
    home = _home(option, wrong)
    store, server = _store(home, wrong), server_facts(home)
    disks = (disk_of("home folder", home), disk_of("temporary files", Path(os.environ.get("TMPDIR", "/tmp"))))  # noqa: S108
    software = look_at_software()
    found = Diagnosis(
        software=software,
        cores=cores(),
        memory=memory(),
        blas=blas_of(),
        home=words_for(home),
        disks=disks,
        store=store,
        server=server,
        settings=tuple(_settings_files()),
        variables=tuple(_variables()),
        problems=(*wrong, *problems_of(software, disks, store, server)),
    )
    return Diagnosis.model_validate(without_names(found.model_dump()))


def problems_of(
    software: Software, disks: tuple[Disk, ...], store: StoreFacts | None, server: ServerFacts
) -> Iterator[Problem]:
    """Yield what is not as it has to be."""
    for name, package in software.packages.items():
        if package.asked:
            found = f"{package.version}, where idxflow asks for {package.asked}"
            yield Problem(subject=name, found=found, way_out="`make install` brings what requirements.lock names.")
    for disk in disks:
        if disk.free is not None and disk.free < LEAST_FREE:
            found = f"{disk.free // 10**6} MB are free"
            yield Problem(subject=f"disk of the {disk.of}", found=found, way_out="Free some; `idxflow gc` lists what.")
    if store:
        yield from _problems_of(store)
    if server.running and not server.answers:
        way_out = "It may be starting. Else: idxflow server stop; the next command starts it again."
        yield Problem(subject="Prefect server", found="it runs and does not answer", way_out=way_out)
    if server.free_port is None and not server.running:
        found = f"none from {PORTS.start} to {PORTS.stop - 1}"
        yield Problem(subject="free port for a server", found=found, way_out="Free one, or run with --ephemeral.")


def _problems_of(store: StoreFacts) -> Iterator[Problem]:
    if store.locks not in SOUND:
        way_out = "Choose a home folder on a file system of this machine, with --home."
        yield Problem(subject="locks in the home folder", found=store.locks, way_out=way_out)
    if store.unreadable:
        yield Problem(
            subject="run records",
            found=f"{counted(store.unreadable, 'record')} that cannot be read",
            way_out="`idxflow verify --all` says which and why.",
        )
    if store.quarantined:
        yield Problem(
            subject="quarantine",
            found=f"{counted(store.quarantined, 'artifact')} found damaged",
            way_out="The next run rebuilds what it needs; `idxflow gc --yes` deletes them.",
        )


def look_at_software() -> Software:
    """Return the versions of what runs; no package is imported."""
    return Software(
        idxflow=version("idxflow"),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=platform.platform(),
        packages=dict(sorted(_packages())),
    )


def _packages() -> Iterator[tuple[str, Package]]:
    """Yield the installed packages that idxflow asks for, those of extras that it runs with included."""
    from packaging.requirements import Requirement

    for line in requires("idxflow") or ():
        asked = Requirement(line)
        if asked.marker and any(asked.marker.evaluate({"extra": extra}) for extra in NOT_RUN):
            continue
        with suppress(PackageNotFoundError):
            found = version(asked.name)
            fits = asked.specifier.contains(found, prereleases=True)
            yield asked.name, Package(version=found, asked="" if fits else str(asked.specifier))


def server_facts(home: Path) -> ServerFacts:
    """Find the server of a home folder, and ask it."""
    found, chosen = find_server(home), user_api_url()
    here = re.match(r"https?://(127\.0\.0\.1|localhost|\[::1\])[:/]", chosen or "")
    return ServerFacts(
        running=found is not None,
        answers=found is not None and api_answers(found.api),
        address=found.address if found else "",
        since=found.started if found else "",
        log=_size(Path(found.log)) if found else None,
        database=_size(database_file(home)),
        chosen="" if not chosen else "another server of this machine" if here else "a server elsewhere",
        free_port=next((port for port in PORTS if not _is_taken(port)), None),
    )


def words_for(path: Path) -> str:
    """Return a path as seen from the working folder, else from the user's own folder, whose name it does not say."""
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    with suppress(ValueError, RuntimeError):
        return f"~/{path.relative_to(Path.home())}"
    return str(path)


def names_of_person_and_host() -> list[str]:
    """Return what a diagnosis says of nobody: the names of the user and of the machine, the longest first."""
    names = {platform.node(), platform.node().partition(".")[0]}
    with suppress(OSError):
        names.add(socket.gethostname())
    with suppress(KeyError, OSError):
        names.add(getpass.getuser())
    with suppress(KeyError):
        person = pwd.getpwuid(os.getuid())
        names |= {person.pw_name, person.pw_gecos.partition(",")[0]}
    return sorted((name for name in names if len(name) >= SHORTEST and name != "localhost"), key=len, reverse=True)


def without_names(value: Any) -> Any:
    """Return a document with each name of the user or the machine, and each secret, written over."""
    # Letters alone end a name: `alice_runs` and `Alice2` name her as well.
    names = "|".join(rf"(?<![^\W\d_]){re.escape(name)}(?![^\W\d_])" for name in names_of_person_and_host())
    pattern = re.compile(names, re.IGNORECASE) if names else None

    def clean(part: Any) -> Any:
        if isinstance(part, str):
            return pattern.sub("***", conceal_all(part)) if pattern else conceal_all(part)
        if isinstance(part, dict):
            return {key: clean(each) for key, each in part.items()}
        return [clean(each) for each in part] if isinstance(part, list | tuple) else part

    return clean(value)


def _home(option: str | None, wrong: list[Problem]) -> Path:
    """Return the home folder that is meant, whatever is wrong with the settings; that is a problem."""
    from idxflow.cli.options import home_of

    try:
        return home_of(option)
    except UsageError as error:
        wrong.append(_problem(error.subject, error))
        return Path(option or ".idxflow").expanduser().absolute()


def _store(home: Path, wrong: list[Problem]) -> StoreFacts | None:
    if not (home / "artifacts").is_dir():
        return None
    try:
        return look_at(Store(home, create=False))
    except StoreError as error:
        wrong.append(_problem("store", error))
    return None


def _problem(subject: str, error: IdxflowError) -> Problem:
    return Problem(subject=subject, found=f"{error.found}; expected {error.expected}", way_out=error.way_out)


def _settings_files() -> Iterator[str]:
    from idxflow.cli.usage import FILES

    ours, project = (Path(name) for name in FILES)
    if ours.is_file():
        yield FILES[0]
    with suppress(OSError):
        if "[tool.idxflow" in project.read_text("utf-8", "replace"):
            yield FILES[1]


def _variables() -> Iterator[str]:
    for name in sorted(os.environ):
        if name in NUMERICS:
            value = os.environ[name]
            yield f"{name}={value}" if re.fullmatch(r"[\w.,:-]{1,40}", value) else name
        elif OURS.match(name.upper()):
            yield name


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
