"""One HTTP connection from a command to a gateway or a demo."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import httpx
from authlib.common.security import is_secure_transport

from gateway.commands.errors import CommandError, CommandRefused

DEFAULT_URL = "http://127.0.0.1:8000"
_DEADLINE_SECONDS = 30.0


def post(url: str, path: str, *, headers: Mapping[str, str], **body: Any) -> httpx.Response:
    """Return the response to one POST, whatever its status; redirects are not followed.

    Raises CommandError if the URL is unusable or nothing listens there, CommandRefused if no answer came.
    """
    address = f"{url.rstrip('/')}{path}"
    # a proxy set for the internet cannot reach a demo on this machine
    proxied = is_secure_transport(url) and url.startswith("https:")
    try:
        with httpx.Client(timeout=_DEADLINE_SECONDS, trust_env=proxied, follow_redirects=False) as client:
            return client.post(address, headers=dict(headers), **body)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
        raise CommandError("--url must be an http or https address, such as http://127.0.0.1:8000") from None
    except httpx.TimeoutException:
        raise CommandRefused(f"no answer within {_DEADLINE_SECONDS:.0f} s; ask again") from None
    except httpx.ConnectError as error:
        if isinstance(error.__context__, ssl.SSLError):
            raise CommandRefused("the server's certificate was not accepted") from None
        raise CommandError("nothing listens at --url; start it with `contactpoint demo`") from None
    except httpx.HTTPError:
        raise CommandRefused("the connection broke before an answer came; ask again") from None


def json_object(response: httpx.Response) -> dict[str, Any]:
    """Return the body if it is a JSON object.

    Raises CommandRefused with the status if it is anything else.
    """
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise CommandRefused(f"what listens at --url answered {response.status_code} without a readable body")
    return body
