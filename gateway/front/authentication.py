"""Who asks, by the token sent; what its validator and the revocations refuse, as the errors that callers are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import httpx

from auth.caller import Caller
from auth.keys import KeysUnavailable
from auth.revocations import RevocationsUnread
from auth.tokens import InvalidRequest, TokenValidator, Unauthenticated, challenge
from gateway import errors
from gateway.revocations import Revocations
from gateway.settings import Settings


def metadata_url(settings: Settings) -> str:
    """Return where RFC 9728 protected-resource metadata is: the identifier's origin, then the well-known path."""
    url = httpx.URL(settings.resource.identifier)
    path = url.path if url.path != "/" else ""
    return str(url.copy_with(path=f"/.well-known/oauth-protected-resource{path}", query=None))


def authenticator(
    validator: TokenValidator, metadata: str, revocations: Revocations
) -> Callable[[Sequence[str]], Awaitable[Caller]]:
    """Return a function from the values of the Authorization fields to the caller; it raises a GatewayError."""

    async def authenticate(values: Sequence[str]) -> Caller:
        if revocations.overdue:
            await revocations.read_soon()
        try:
            return await validator.authenticate(values)
        except Unauthenticated as refused:
            raise errors.Unauthenticated(challenge(refused.error, resource_metadata=metadata)) from refused
        except InvalidRequest as refused:
            raise errors.InvalidCredentialsRequest(challenge(refused.error, resource_metadata=metadata)) from refused
        except (KeysUnavailable, RevocationsUnread):
            raise errors.Overloaded(5) from None

    return authenticate


def rechecker(validator: TokenValidator, metadata: str) -> Callable[[Caller], None]:
    """Return a function that returns if the caller's token still holds; it raises a GatewayError."""

    def recheck(caller: Caller) -> None:
        try:
            validator.recheck(caller)
        except Unauthenticated as refused:
            raise errors.Unauthenticated(challenge(refused.error, resource_metadata=metadata)) from None
        except RevocationsUnread:
            raise errors.Overloaded(5) from None

    return recheck
