"""`python -m worker admin rebuild`: jobs from S3 after Redis has lost them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import click

from worker.commands.console import report_errors, settings_or_exit


@click.command()
def rebuild() -> None:
    """Restore running jobs from S3 after Redis has lost them. Safe to run at any time."""
    from worker.contract.objects.store import ObjectStore
    from worker.contract.records.connection import connect
    from worker.contract.records.records import Records
    from worker.contract.repositories.job_restore import restore, undone_jobs

    settings = settings_or_exit()
    store = ObjectStore(settings, connections=settings.io_threads)
    records = Records(connect(settings), settings)
    with report_errors(), ThreadPoolExecutor(settings.io_threads) as io:
        for tenant, job in undone_jobs(store):
            if restore(records, store, tenant, job, io=io):
                click.echo(f"{job.id}\trestored for {tenant}")
