"""How Celery is set: over Redis, at least once, with threads, and patient with the broker."""

from typing import Any, Final

from kombu import Exchange, Queue

from xenlaunch import names
from xenlaunch.redis_url import RedisUrl

VISIBILITY_SECONDS: Final = 900
"""Longer than any single delivery takes. Recovery does not wait for it: the ledger knows sooner."""


def celery_config(redis_url: str, pools: tuple[str, ...]) -> dict[str, Any]:
    """Celery's configuration for a worker of these pools."""
    where = RedisUrl.parse(redis_url)
    queues = [names.CONTROL_QUEUE, *(names.pool_queue(pool) for pool in pools)]
    return {
        "broker_url": where.for_celery,
        "result_backend": where.for_celery,
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in queues],
        "task_default_queue": names.CONTROL_QUEUE,
        "task_create_missing_queues": False,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_track_started": True,
        "result_extended": True,
        "result_expires": 86_400,
        "result_failure_expires": 7 * 86_400,
        "task_publish_retry_policy": {
            "max_retries": 60,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 1,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A Redis that refuses (out of memory, a replica now) is as good as one that is away.
        "broker_channel_error_retry": True,
        "broker_pool_limit": 32,
        "broker_transport_options": {
            **where.celery_options,
            "visibility_timeout": VISIBILITY_SECONDS,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 30,
            "global_keyprefix": names.PREFIX,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "max_connections": 200,
        },
        "result_backend_transport_options": {
            **where.celery_options,
            "global_keyprefix": names.PREFIX,
            "retry_policy": {"timeout": 5.0},
        },
        "redis_max_connections": 500,
        "result_backend_always_retry": True,
        "result_backend_max_retries": 20,
        "result_backend_max_sleep_between_retries_ms": 1000,
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "worker_consumer": "workers.consumer:SafeConsumer",
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }
