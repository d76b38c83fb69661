"""The command line: `contactpoint`, or `python -m gateway`."""

from __future__ import annotations

import click

from gateway.commands.lazy import LazyGroup

# each command's module and name in it: one command's imports are not another's wait
_COMMANDS = {
    "demo": ("gateway.commands.demo", "demo"),
    "lookup": ("gateway.commands.lookup", "lookup"),
    "viewer": ("gateway.commands.viewer", "viewer"),
    "token": ("gateway.commands.token", "token"),
    "serve": ("gateway.commands.serve", "serve"),
    "check-config": ("gateway.commands.check_config", "check_config"),
    "migrate": ("gateway.commands.serve", "migrate"),
    "schema": ("gateway.commands.serve", "schema"),
    "access": ("gateway.commands.access", "access"),
    "audit": ("gateway.commands.audit", "audit"),
    "shields": ("gateway.commands.shields", "shields"),
    "reviews": ("gateway.commands.reviews", "reviews"),
    "revoke": ("gateway.commands.revoke", "revoke"),
}


@click.group(cls=LazyGroup, commands=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="contactpoint-gateway", prog_name="contactpoint")
def main() -> None:
    """Who else is working with this child, and how do I reach them?

    \b
    Examples:
      contactpoint demo
      contactpoint token --as social-worker
      contactpoint lookup --help
      contactpoint serve --config gateway.toml
    """


if __name__ == "__main__":
    main(prog_name="contactpoint")
