"""One HTTP connection from a command to a gateway or a demo."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from gateway.commands.errors import CommandError, CommandRefused

DEFAULT_URL = "http://127.0.0.1:8000"
_DEADLINE_SECONDS = 30.0
_BAD_URL = f"--url must be an http or https address, such as {DEFAULT_URL}"


def post(url: str, path: str, *, headers: Mapping[str, str], **body: Any) -> httpx.Response:
    """Return the response to one POST, whatever its status; redirects are not followed.

    Raises CommandError if the URL is unusable or nothing listens there, CommandRefused if no answer came.
    """
    try:
        address = httpx.URL(f"{url.rstrip('/')}{path}")
    except httpx.InvalidURL:
        raise CommandError(_BAD_URL) from None
    if address.scheme not in {"http", "https"} or not address.host or address.userinfo:
        raise CommandError(_BAD_URL)
    # a proxy set for the internet cannot reach a demo on this machine
    proxied = address.scheme == "https"
    try:
        with httpx.Client(timeout=_DEADLINE_SECONDS, trust_env=proxied, follow_redirects=False) as client:
            return client.post(address, headers=dict(headers), **body)
    except httpx.TimeoutException:
        raise CommandRefused(f"no answer within {_DEADLINE_SECONDS:.0f} s; ask again") from None
    except httpx.ConnectError as error:
        if _concerns_tls(error):
            raise CommandError("no secure connection: the certificate or the protocol was not accepted") from None
        raise CommandError("nothing listens at --url; start it with `contactpoint demo`") from None
    except httpx.HTTPError:
        raise CommandRefused("the connection broke before an answer came; ask again") from None


def _concerns_tls(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


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
