"""The broker: the Celery app's settings, task and queue names, and sending wake-ups.

A message is only a wake-up for a queue: it names no chunk. The work itself is in the
records, so a lost or doubled message loses or doubles nothing.
"""

from __future__ import annotations

from celery import Celery
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from worker.contract.errors import RedisUnavailable
from worker.contract.lanes import QUEUES, QueueName
from worker.contract.records.connection import broker_connection
from worker.contract.records.keys import RedisKeys
from worker.contract.settings.model import Settings

WAKE = "guanwu.wake"


def make_app(settings: Settings) -> Celery:
    """The Celery app of one process. Connects to nothing yet."""
    app = Celery("guanwu", set_as_current=False)
    connection = broker_connection(settings)
    app.conf.update(
        broker_url=connection["broker_url"],
        broker_use_ssl=connection["broker_use_ssl"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "global_keyprefix": RedisKeys(settings.redis_prefix).broker_prefix,
            "visibility_timeout": settings.visibility_timeout_s,
            "queue_order_strategy": "priority",
            **connection["broker_transport_options"],
        },
        task_queues=[_queue(name) for name in QUEUES],
        task_default_queue="bulk",
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
    )
    return app


def _queue(name: QueueName) -> Queue:
    """Exchange and key of its own: on one shared exchange, each queue got the others' copies."""
    return Queue(name, Exchange(name, type="direct"), routing_key=name)


def send(app: Celery, queue: QueueName, *, count: int = 1) -> None:
    """Wake up workers of a queue.

    Raises:
        RedisUnavailable: the broker does not take the message. The sweeper sends it later.
    """
    try:
        with app.producer_pool.acquire(block=True, timeout=5) as producer:
            for _ in range(count):
                app.send_task(WAKE, queue=queue, producer=producer, retry=False)
    except (OperationalError, OSError) as exc:
        raise RedisUnavailable("the broker does not take messages; try again soon") from exc
