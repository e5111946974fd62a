"""uvicorn as a part of a program: it logs nothing, tells nobody what it is, and believes no proxy."""

from typing import Any

import uvicorn
from starlette.types import ASGIApp


def uvicorn_settings(app: ASGIApp, **own: Any) -> uvicorn.Config:
    """``own`` are settings of uvicorn's beside these. Raises OSError where a file that they name can't be used."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        **own,
    )
    config.load()
    return config
