"""A real worker whose model only sleeps: `python -m tests.sleeping`.

Redis, storage, Celery, leases and sweeper are the product's; a picture's colour is its
number, and SLEEP_* variables say what the model does, and which numbers do it harm.
"""
