"""What the check of a token may be told in place of whether the token was revoked."""

from __future__ import annotations


class RevocationsUnread(Exception):
    """503: the list of what is revoked has not been read for too long, so that no token can be accepted."""
