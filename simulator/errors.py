"""The one way in which a call fails: a code and its parameters."""

from __future__ import annotations


class ApiError(Exception):
    """A failure as XAPI reports it."""

    def __init__(self, code: str, *params: str) -> None:
        super().__init__(code, *params)
        self.code = code
        self.params = params

    @property
    def description(self) -> list[str]:
        """The code first, then the parameters, as both wire formats carry them."""
        return [self.code, *self.params]


class TaskCancelled(ApiError):
    """The call's task was cancelled; the task then ends `cancelled`, not `failure`."""

    def __init__(self, task: str) -> None:
        super().__init__("TASK_CANCELLED", task)


class OtherOperation(ApiError):
    """An operation that excludes this one is running; the server itself tries again for a while."""

    def __init__(self, cls: str, ref: str, operation: str, task: str) -> None:
        super().__init__("OTHER_OPERATION_IN_PROGRESS", cls, ref, operation, task)


class Dropped(Exception):
    """A fault wants the connection closed without an answer."""


class Malformed(ValueError):
    """A body is not a call of its format."""


def failure(text: str) -> ApiError:
    """What XAPI makes of an exception that its authors did not foresee."""
    return ApiError("INTERNAL_ERROR", f'Failure("{text}")')


def handle_invalid(cls: str, ref: str) -> ApiError:
    return ApiError("HANDLE_INVALID", cls, ref)
