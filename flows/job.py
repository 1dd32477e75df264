"""What a person asks a run for: the one model that the command line, the form, a deployment and the plan share."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import textwrap
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema

from artifacts.archive.name_records import ALIAS, AT, SET, flaw_of, split_word
from flows.dag import GRAPH
from schemas.addresses import MirrorAddress, below_home
from schemas.catalog import dataset_names, is_place
from schemas.source import Choices
from schemas.training import PROFILES, ProfileName, Training
from schemas.workers import Workers

R = TypeVar("R")


class LeftToProfile:
    """
    Marks a parameter of type `Training`: in its schema, what the profiles differ in has no default.

    The form sends each field that has one: the tutorial's would win over whatever profile was chosen. So these fields
    stand empty, and their help says what each profile has. A switch cannot stand empty, the form sends an untouched one
    as false: such a field may be null, which is what it is until a person chooses, and `left_out` takes as not said.
    """

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of the marked type, changed so."""
        schema = handler(core)
        profiles = [Training(profile=name) for name in get_args(ProfileName)]
        for name, field in handler.resolve_ref_schema(schema)["properties"].items():
            values = [json.dumps(each.model_dump(mode="json")[name]).replace('"', "") for each in profiles]
            if name != "profile" and len(set(values)) > 1:
                del field["default"]
                if field.get("type") == "boolean":
                    field |= {"anyOf": [{"type": field.pop("type")}, {"type": "null"}], "default": None}
                said = (f"{each.profile}: {value}" for each, value in zip(profiles, values, strict=True))
                field["description"] += f" ({', '.join(said)})"
        return schema


def left_out(given: Any) -> Any:
    """Return a configuration without what it leaves to the profile by null."""
    decided = {name for values in PROFILES.values() for name in values}
    if not isinstance(given, dict):
        return given
    return {name: value for name, value in given.items() if value is not None or name not in decided}


def stage_of_graph(name: str) -> str:
    """Return the name of a stage. Raises: ValueError: there is none of that name."""
    if name not in GRAPH:
        raise ValueError(f"expected a stage, one of {', '.join(GRAPH)}, found {name!r}")
    return name


def dataset_or_path(name: str) -> str:
    """
    Return what names a data set: a name of the catalog, or a path; that of a place is absolute, wherever it is read.

    Raises: ValueError: neither.
    """
    if is_place(name):
        return os.path.abspath(below_home(name))  # noqa: PTH100 - a link stays one
    if not re.fullmatch(PLACES, name):
        raise ValueError(f"expected one of {', '.join(dataset_names())}, or a path, found {name!r}")
    return name


def alias_word(word: str) -> str:
    """Return the word for an alias, perhaps with its data set. Raises: ValueError: it is none."""
    name, dataset = split_word(word)
    flaw = flaw_of(name, GRAPH)
    if flaw is None and word != name and not SET.fullmatch(dataset):
        flaw = f"{dataset!r} where a data set belongs"
    if flaw:
        raise ValueError(f"expected an alias, as champion or champion@mnist, found {word!r}: {flaw}")
    return word


PLACES = rf"(?:{'|'.join(map(re.escape, dataset_names()))}|.+\.toml|.*/.+)"
DatasetName = Annotated[str, AfterValidator(dataset_or_path), Field(json_schema_extra={"pattern": f"^{PLACES}$"})]
"""A name of the catalog, or a path; whether there is something only the worker's machine knows."""
FormTraining = Annotated[
    Training,
    BeforeValidator(left_out),
    LeftToProfile(),
    Field(json_schema_extra={"default": {"profile": "tutorial"}}),
]
"""`Training`, of which the form sends what a person has chosen, and nothing that a profile decides."""
StageName = Annotated[
    str, AfterValidator(stage_of_graph), WithJsonSchema({"type": "string", "enum": [*GRAPH], "title": "Stage"})
]
"""The name of a stage of the graph."""


AliasWord = Annotated[
    str,
    AfterValidator(alias_word),
    Field(json_schema_extra={"pattern": rf"^{ALIAS.pattern}({AT}{SET.pattern})?$"}),
]
"""An alias, `champion`, perhaps with its data set, `champion@mnist`."""


class Job(BaseModel):
    """What one run is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dataset: DatasetName | None = Field(
        default=None,
        description=f"A name of the catalog ({', '.join(dataset_names())}), or a path: of a data set's .toml, a folder "
        "of pictures, an archive, a CSV or an .npz. Without one the run is about MNIST if it is stored or a mirror "
        "answers within 3 s, else about the bundled digits.",
    )
    training: FormTraining = Field(
        default=Training(),
        description="Architecture, optimizer and schedule. Whatever is left empty is as the chosen profile has it.",
    )
    mirrors: tuple[MirrorAddress, ...] = Field(
        default=(),
        description="Addresses (http, https, file) or folders to try in order, before the catalog's own. Secrets do "
        "not belong here, parameters are shown to all: write ${NAME} for a variable of the worker's environment.",
    )
    refresh: tuple[StageName, ...] = Field(default=(), description="Stages to rebuild even where they are cached.")
    revalidate: bool = Field(
        default=False,
        description="Ask each file's mirror whether it has changed, by If-None-Match and If-Modified-Since, and "
        "download again what may have. Without it, what is stored and sound is not asked about.",
    )
    alert_below: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="Test accuracy, from 0 to 1, below which the run warns and emits idxflow.accuracy-below-bound, "
        "for an automation to act on. The run completes all the same.",
    )
    promote: AliasWord | None = Field(
        default=None,
        description="An alias, as champion, that is to stand for the run's model: it does if the model is better than "
        "the one that has it, by more than chance, no class is worse, and the test accuracy is not below alert_below. "
        "Each data set has its own.",
    )
    force: bool = Field(
        default=False, description="Go on, with a warning, where more memory or disk is needed than is free."
    )
    pack: Choices = Field(
        default=Choices(), description="What is said of a folder, archive, table or file of arrays that is packed."
    )

    workers: Workers = Field(
        default=Workers(),
        description="Who computes: threads of the run's process, processes of this machine, or those of a Dask "
        "cluster. The artifacts are the same, to the bit.",
    )

    @property
    def parameters(self) -> dict[str, Any]:
        """The fields by name, as the flow takes them."""
        return {name: getattr(self, name) for name in type(self).model_fields}


def taking(job: type[BaseModel]) -> Callable[[Callable[[Any], R]], Callable[..., R]]:
    """
    Give a function of one model the fields of that model for parameters, as Prefect's form and deployments need them.

    Their defaults, types and descriptions are those of the fields.
    """
    hints = get_type_hints(job, include_extras=True)
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=field.default, annotation=hints[name])
        for name, field in job.model_fields.items()
    ]

    def decorate(body: Callable[[Any], R]) -> Callable[..., R]:
        returned = inspect.signature(body, eval_str=True).return_annotation
        signature = inspect.Signature(parameters, return_annotation=returned)

        @functools.wraps(body)
        def function(*args: Any, **kwargs: Any) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return body(job(**bound.arguments))

        del function.__wrapped__
        described = "\n".join(f"    {name}: {field.description}" for name, field in job.model_fields.items())
        function.__doc__ = f"{textwrap.dedent(body.__doc__ or '').strip()}\n\nArgs:\n{described}\n"
        function.__signature__ = signature  # type: ignore[attr-defined]
        function.__annotations__ = {each.name: each.annotation for each in parameters}
        return function

    return decorate
