"""How a command says that it was used wrongly: one line on standard error, exit code 2, never a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

import click


class CommandError(click.ClickException):
    """The caller's mistake, or something that the caller must start or mend first."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the one line."""
        line = " ".join(self.format_message().split())
        click.echo(f"contactpoint: {line}", file=file, err=file is None)


class CommandRefused(CommandError):
    """The command was right and the answer is no: forbidden, over budget, or not to be had now."""

    exit_code = 1


class OneLineCommand(click.Command):
    """A command whose usage errors are one line too, in place of click's three."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise CommandError(_sentence(error, self.params)) from None


def _sentence(error: click.UsageError, params: Sequence[click.Parameter]) -> str:
    """Return click's sentence; a bad value is named by its option alone, for it may be an identifier."""
    if isinstance(error, click.MissingParameter) or not isinstance(error, click.BadParameter):
        return error.format_message()
    hint = error.param.get_error_hint(error.ctx) if error.param is not None and error.ctx is not None else "an option"
    return f"not a valid value for {hint}"
