"""What a request says of graphics."""

from typing import Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from xenlaunch.fields import Label
from xenlaunch.frozen import Frozen


class Gpu(Frozen):
    """One virtual GPU: of a type, of a group of physical ones, or of both."""

    group: Label | None = None
    type: Label | None = None

    @model_validator(mode="after")
    def _is_any(self) -> Self:
        if self.group is None and self.type is None:
            raise PydanticCustomError("gpu", "has neither group nor type")
        return self
