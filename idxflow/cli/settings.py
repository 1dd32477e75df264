"""
All settings, and where they come from.

Flags win over the environment (IDXFLOW_..., `__` between levels), that over `idxflow.toml`, that over
`[tool.idxflow]` of pyproject.toml, both in the working folder, and all over the defaults.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from idxflow.cli.meaning import is_parted, quoted
from idxflow.cli.usage import FILES, NOTHING_RAN, explain, refuse_misspelt_variables
from schemas.addresses import below_home, redact, refuse_secrets, refuse_windows_path
from schemas.catalog import is_place, load_dataset
from schemas.catalog.places import load_place
from schemas.errors import UsageError
from schemas.profile_file import is_profile_file, read_profile
from schemas.remote import RemotePlace
from schemas.source import Choices
from schemas.training import PROFILES, ProfileName, Training
from schemas.tuning import Sweep
from schemas.workers import Workers

if TYPE_CHECKING:
    from flows.job import Job


def parse_value(text: str) -> Any:
    """Read `text` as a TOML value (number, boolean, string, list); what is none of these is a plain string."""
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text


def mirror_address(mirror: str) -> str:
    """
    Return a mirror's base address; an existing folder becomes a file address.

    Raises: UsageError: it is neither, or holds a secret.
    """
    address = urlsplit(mirror)
    if address.scheme == "file" or (address.scheme in {"http", "https"} and address.netloc):
        return refuse_secrets(mirror)
    refuse_windows_path("mirror", mirror)
    folder = below_home(mirror)
    if not folder.is_dir():
        raise UsageError(
            f"mirror {redact(mirror)}",
            expected="an http, https or file address, or an existing folder",
            found=f"the scheme {address.scheme}" if address.scheme else "no such folder",
            way_out=f"Write http:// before a host. {NOTHING_RAN}",
        )
    return folder.resolve().as_uri()


class _Environment(EnvSettingsSource):
    """Environment variables, their lists written as those of `--set`."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002
        return parse_value(value)


def _stage(name: str) -> str:
    from flows.job import stage_of_graph

    return stage_of_graph(name)


def _alias(word: str) -> str:
    from flows.job import alias_word

    return alias_word(word)


class _Stages:
    """Adds the stages to a schema. The graph, which knows them, is imported only where somebody looks at one."""

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        from flows.dag import GRAPH

        return {**handler(core), "enum": [*GRAPH]}


class Settings(BaseSettings):
    """The options of a run."""

    model_config = SettingsConfigDict(
        env_prefix="IDXFLOW_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        toml_file="idxflow.toml",
        pyproject_toml_table_header=("tool", "idxflow"),
        extra="forbid",
        frozen=True,
    )

    dataset: str | None = Field(default=None, description="None: mnist if it is available, else digits")
    pack: Choices = Field(default=Choices(), description="of a folder, archive, table or file of arrays")
    profile: ProfileName = "tutorial"
    training: Training = Training()
    tune: Sweep = Field(default=Sweep(), description="of a sweep: what `idxflow tune` tries, and how often")
    mirror: tuple[Annotated[str, AfterValidator(mirror_address)], ...] = Field(
        default=(), description="base addresses to try before the catalog's: http, https or file"
    )
    refresh: tuple[Annotated[str, AfterValidator(_stage), _Stages()], ...] = Field(
        default=(), description="stages to recompute"
    )
    revalidate: bool = Field(default=False, description="ask the mirrors whether their files have changed")
    force: bool = Field(default=False, description="continue where more memory or disk is needed than is free")
    alert_below: float | None = Field(default=None, ge=0, le=1, description="test accuracy below which a run warns")
    promote: Annotated[str, AfterValidator(_alias)] | None = Field(
        default=None,
        description="alias that the run's model takes if it is better than the one that has it",
        examples=["champion", "champion@mnist"],
    )
    fail_below: float | None = Field(
        default=None, ge=0, le=1, description="test accuracy below which the command of a completed run exits with 3"
    )
    workers: Workers = Field(default=Workers(), description="who computes; the artifacts are the same")
    remote: RemotePlace = Field(default=RemotePlace(), description="where artifacts are shared with other machines")
    home: Path = Field(
        default=Path(".idxflow"), validate_default=True, description="absolute folder of all run-time data"
    )
    ephemeral: bool = Field(default=False, description="use Prefect's temporary server")
    verbose: bool = Field(default=False, description="show logs, library messages and tracebacks")

    @property
    def job(self) -> Job:
        """What a run with these settings is asked for."""
        from flows.job import Job

        shared = {name: getattr(self, name) for name in Job.model_fields if name != "mirrors"}
        return Job(mirrors=self.mirror, **shared)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Name the sources, the strongest first."""
        toml, pyproject = TomlConfigSettingsSource(settings_cls), PyprojectTomlConfigSettingsSource(settings_cls)
        return init_settings, _Environment(settings_cls), toml, pyproject

    @model_validator(mode="before")
    @classmethod
    def _hand_over_profile(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Base the training configuration on the profile."""
        training = given.get("training", {})
        if not isinstance(training, dict):
            return given
        if "profile" in training:
            # Two places for one value would need a precedence of their own.
            way_out = f"Set `profile`, or give --profile. {NOTHING_RAN}"
            raise UsageError("training.profile", expected="no such name", found=training["profile"], way_out=way_out)
        profile = given.get("profile")  # an unknown one is refused once, in its place
        if profile is not None and is_profile_file(profile):
            training = {**(values := read_profile(profile)), **training}
            given, profile = {**given, "profile": values["profile"]}, values["profile"]
        return {**given, "training": {**training, "profile": profile if profile in PROFILES else "tutorial"}}

    @field_validator("mirror", "refresh", mode="before")
    @classmethod
    def _split_words(cls, given: Any) -> Any:
        """Take one text with commas or spaces for a list, as environment variables have it."""
        return given.replace(",", " ").split() if isinstance(given, str) else given

    @field_validator("home", mode="before")
    @classmethod
    def _refuse_nothing(cls, given: Any) -> Any:
        """Refuse an empty text, as of a variable that was never set: it would be the working folder."""
        if isinstance(given, str) and not given.strip():
            way_out = f"Leave it out for .idxflow in the working folder. {NOTHING_RAN}"
            raise UsageError("--home", expected="a folder", found="an empty text", way_out=way_out)
        return given

    @field_validator("home")
    @classmethod
    def _place_home(cls, given: Path) -> Path:
        # One spelling per folder: two would be two home folders to the server.
        home = Path(os.path.abspath(given.expanduser()))  # noqa: PTH100 - `resolve` would follow links as well
        if home.exists() and not home.is_dir():
            raise UsageError(str(home), expected="a folder", found="a file", way_out=f"Name another. {NOTHING_RAN}")
        return home


def load_settings(flags: Mapping[str, Any], assignments: Sequence[str] = ()) -> Settings:
    """
    Gather the settings from every source, and check them against the catalog.

    Args:
        flags:       options of the command line, by field; None where one was not given.
        assignments: the values of `--set`: a field's dotted name, `=`, and its value.
    Raises: UsageError: an unknown name or a wrong value; it says where it stands and what is allowed.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    assigned = _assign(assignments)
    refuse_misspelt_variables(Settings)
    try:
        settings = Settings(**{**assigned, **given})
    except ValidationError as error:
        raise explain(error, Settings, given, assigned) from error
    except tomllib.TOMLDecodeError as error:
        files = " or ".join(name for name in FILES if Path(name).is_file())
        raise UsageError(files, expected="TOML", found=str(error), way_out=NOTHING_RAN) from error
    if settings.dataset is None or not (is_place(settings.dataset) or load_place(settings.dataset)):
        load_dataset("mnist" if settings.dataset is None else settings.dataset, settings.mirror)
    return settings


def _assign(assignments: Sequence[str]) -> dict[str, Any]:
    """Enter each `a.b=value` into nested dicts."""
    assigned: dict[str, Any] = {}
    for place, assignment in enumerate(assignments):
        path, equals, text = assignment.partition("=")
        *outer, last = path.strip().split(".")
        level: Any = assigned
        for name in outer:
            level = level.setdefault(name, {}) if isinstance(level, dict) else None
        parted = is_parted(assignment)
        if not equals or not all([*outer, last]) or not isinstance(level, dict) or parted:
            whole = quoted(assignments[place:]) if parted else ""
            raise UsageError(
                "--set",
                expected="NAME=VALUE, as training.epochs=10",
                found=repr(assignment),
                way_out=f"{whole}See `idxflow run --help`. {NOTHING_RAN}",
            )
        level[last] = parse_value(text.strip())
    return assigned
