"""Flower's view of the wake-ups: Guanwu's queues have a prefix of their own in Redis."""

from kombu import Queue

broker_transport_options = {"global_keyprefix": "guanwu:broker:"}
task_default_queue = "bulk"
task_queues = [Queue("coordinator"), Queue("hi"), Queue("bulk")]
