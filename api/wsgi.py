"""WSGI application for gunicorn: `gunicorn -c python:api.gunicorn_conf api.wsgi:application`."""

from __future__ import annotations

import sys

from flask_openapi3.openapi import OpenAPI

from api.app import create_app
from worker.contract.errors import SettingsInvalid
from worker.contract.settings import environment
from worker.contract.telemetry import logs


def make_application() -> OpenAPI:
    """The application as the environment sets it up; ends the process if that is wrong."""
    try:
        settings = environment.load()
        logs.configure(settings.log_level)
        return create_app(settings)
    except SettingsInvalid as exc:
        sys.stderr.write(f"guanwu: {exc.message}\n")
        sys.exit(3)  # gunicorn's own "worker failed to boot": its master stops, too


application = make_application()
