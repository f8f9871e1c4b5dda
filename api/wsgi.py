"""What gunicorn serves: `gunicorn -c python:api.gunicorn_conf api.wsgi:application`."""

from __future__ import annotations

from flask_openapi3.openapi import OpenAPI

from api.app import create_app
from worker.contract import logs, settings


def make_application() -> OpenAPI:
    """The application as the environment sets it up.

    Raises:
        SettingsInvalid: the environment is wrong; `api/gunicorn_conf.py` looks before this.
    """
    found = settings.load()
    logs.configure(found.log_level)
    return create_app(found)


application = make_application()
