"""What the flow's parameters are like in the dashboard's form, and to the server, which refuses what does not fit."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, get_args

from pydantic import Field, GetJsonSchemaHandler

from schemas.catalog import dataset_names
from schemas.training import ProfileName, Training

DatasetName = Annotated[str, Field(pattern=rf"^(?:{'|'.join(map(re.escape, dataset_names()))}|.+\.toml)$")]
"""A name of the catalog, or the path of a description; whether there is such a file only the worker's machine knows."""


class LeftToProfile:
    """
    Marks a parameter of type `Training`: in its schema, what the profiles differ in has no default.

    The form sends each field that has one: the tutorial's would win over whatever profile was chosen. So these fields
    stand empty, and their help tells what each profile has.
    """

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of the marked type, changed so."""
        schema = handler(core)
        profiles = [Training(profile=name) for name in get_args(ProfileName)]
        for name, field in handler.resolve_ref_schema(schema)["properties"].items():
            values = [json.dumps(each.model_dump(mode="json")[name]).replace('"', "") for each in profiles]
            if name != "profile" and len(set(values)) > 1:
                del field["default"]
                told = (f"{each.profile}: {value}" for each, value in zip(profiles, values, strict=True))
                field["description"] += f" ({', '.join(told)})"
        return schema


FormTraining = Annotated[Training, LeftToProfile(), Field(json_schema_extra={"default": {"profile": "tutorial"}})]
"""`Training`, of which the form sends what a person has chosen, and nothing that a profile decides."""
