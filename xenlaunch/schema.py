"""The JSON Schema of a request, for editors and for those who write requests by program.

It is made from the models by `make docs`, with the words of docs/request.md, and lies beside this
file. It refuses what the models refuse by shape: fields, kinds, bounds. What two fields say of each
other only the models know, and what there is in a pool only the pool.
"""

import json
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

FILE: Final = "request.schema.json"


def schema() -> dict[str, Any]:
    """The schema, with the version of this xenlaunch in it."""
    made: dict[str, Any] = json.loads(files("xenlaunch").joinpath(FILE).read_text())
    return {**made, "version": version("xenlaunch")}
