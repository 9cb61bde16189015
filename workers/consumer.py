"""A consumer that outlives its broker.

With celery 5.7.0 a worker that is busy, but not full, exits when Redis drops its connection: the
consumer closes the connection that it has just let go of, and kombu trips over its own channel.
`tests/flow/test_redis_restart.py` holds this in place until upstream mends it.
"""

from typing import Any

from celery.worker.consumer import Consumer


class SafeConsumer(Consumer):
    """Celery's consumer, which leaves a lost connection alone."""

    def on_connection_error_after_connected(self, exc: Exception) -> Any:
        if self.connection is not None:
            # Celery's own attempt to close it is what kills the worker.
            vars(self.connection)["close"] = lambda: None
        return super().on_connection_error_after_connected(exc)
