"""Dockerfile and compose.yaml, as far as they can be judged where no container engine runs."""

from __future__ import annotations

import re
from typing import Any

import yaml
from packaging.specifiers import SpecifierSet

from tests.deployments.linters import findings
from tests.test_house import PROJECT, ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
GUIDE = (ROOT / "docs" / "team.md").read_text()


def test_the_dockerfile_passes_its_linter() -> None:
    """Hadolint has nothing to say of the Dockerfile, not even as a hint."""
    assert not findings("hadolint", "--failure-threshold", "style", "Dockerfile")


def test_the_compose_file_is_one() -> None:
    """The compose file is what the Compose specification's schema allows."""
    assert not findings("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_images_are_named_without_a_registry() -> None:
    """What an image starts from is a name and a version, on a Python that the project is for."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)
    named = [*bases, *(service["image"] for service in COMPOSE["services"].values())]
    assert all(re.fullmatch(r"[a-z]+(:[a-z0-9.-]+)?", name) for name in named)
    for base in bases:
        version = re.fullmatch(r"python:(\d+\.\d+)-slim", base)
        assert version
        assert SpecifierSet(PROJECT["requires-python"]).contains(f"{version[1]}.0")


def test_the_image_is_installed_as_make_does_it() -> None:
    """Both take uv from the lock in the same way, and nothing is installed that the lock has no hash of."""
    cut = "sed -n '/^uv==/,/# via/p' requirements.lock"
    assert cut in DOCKERFILE
    assert cut in (ROOT / "Makefile").read_text()
    commands = re.split(r"&&|\n", DOCKERFILE.replace("\\\n", " "))
    installs = [command for command in commands if "pip install" in command]
    assert len(installs) == 3
    assert all("--require-hashes" in each or "--no-deps" in each for each in installs)


def test_the_image_is_nobodys_root_and_tells_its_health() -> None:
    """The image runs as a numbered user, keeps the store in a volume, and is asked for its health."""
    assert re.search(r"^USER [1-9]\d+$", DOCKERFILE, flags=re.MULTILINE)
    home = re.search(r"IDXFLOW_HOME=(\S+)", DOCKERFILE)
    assert home
    assert f"VOLUME {home[1]}\n" in DOCKERFILE
    assert f"store:{home[1]}" in COMPOSE["services"]["worker"]["volumes"]
    assert re.search(r"^HEALTHCHECK .*CMD ", DOCKERFILE.replace("\\\n", " "), flags=re.MULTILINE)


def test_the_build_takes_what_the_image_needs() -> None:
    """The build's context is the floors and what installing and deploying reads; all else stays out, secrets first."""
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept >= {"artifacts", "flows", "idxflow", "schemas", "tasks", "prefect.yaml", "pyproject.toml", "README.md"}
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    assert all((ROOT / name).exists() for name in kept)


def test_compose_and_guide_take_the_same_steps() -> None:
    """Each variable of compose.yaml is one of the guide's, each command too, and no password stands in the file."""
    variables = {name for service in COMPOSE["services"].values() for name in service.get("environment", {})}
    told = {name for name in variables if name.startswith(("PREFECT_", "IDXFLOW_"))}
    assert len(told) > 10
    assert told <= set(re.findall(r"\w+", GUIDE))
    pool = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"][0]["work_pool"]["name"]
    steps = "\n".join(COMPOSE["services"]["deployments"]["command"])
    template = "--base-job-template idxflow/deploying/pool.json"
    assert (ROOT / template.split()[1]).is_file()
    for step in (
        f"prefect --no-prompt work-pool create {pool} --type process {template}",
        "prefect --no-prompt deploy --all",
    ):
        assert step in steps
        assert f"\n{step}\n" in GUIDE
    served = COMPOSE["services"]["server"]["command"]
    assert f"\n{' '.join(served)}\n".replace("0.0.0.0", "HOST") in GUIDE
    assert f"\nprefect worker start --pool {pool}\n" in GUIDE
    assert f'"worker", "start", "--pool", "{pool}"' in DOCKERFILE
    secret = re.compile(r"(team:)?\$\{[A-Z_]+:\?set it in \.env\}")
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            assert secret.fullmatch(value) or not re.search(r"PASSWORD|AUTH|KEY", name), name
