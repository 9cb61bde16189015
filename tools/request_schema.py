"""The JSON Schema of a request and of a batch: the models', with the docs' words on each field."""  # noqa: INP001  tools are run from the checkout, and are no package

import json
from pathlib import Path
from typing import Any, Final

from tools.docs_words import FIELDS
from xenlaunch.batch_file import BatchFields
from xenlaunch.model import LaunchRequest
from xenlaunch.schema import BATCH, FILE

SCHEMA: Final = Path(__file__).resolve().parents[1] / "xenlaunch" / FILE
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """The schema as it lies in the package."""
    made = LaunchRequest.model_json_schema()
    made["$defs"][BATCH] = BatchFields.model_json_schema()
    for name, kind in {"LaunchRequest": made, **made["$defs"]}.items():
        explain(kind, FIELDS.get(name, {}))
    title = {"$schema": DIALECT, "title": "A request of xenlaunch"}
    return json.dumps({**made, **title}, indent=2) + "\n"


def explain(kind: dict[str, Any], words: dict[str, str]) -> None:
    """Say of each field what the docs say of it; pydantic's own titles say nothing."""
    for name, field in kind.get("properties", {}).items():
        field.pop("title", None)
        if name in words:
            field["description"] = words[name]
