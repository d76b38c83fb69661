"""The command line: `contactpoint`, or `python -m gateway`."""

from __future__ import annotations

import click

from gateway.commands.access import access
from gateway.commands.audit import audit
from gateway.commands.demo import demo
from gateway.commands.errors import OneLineGroup
from gateway.commands.lookup import lookup
from gateway.commands.serve import check_config, migrate, schema, serve
from gateway.commands.shields import shields
from gateway.commands.token import token


@click.group(cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"]})
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


for command in (demo, lookup, token, serve, check_config, migrate, schema, access, audit, shields):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="contactpoint")
