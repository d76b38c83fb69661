"""How a command says that it was used wrongly: one line on standard error, exit code 2, never a traceback."""

from __future__ import annotations

from typing import IO, Any

import click
from click.exceptions import NoArgsIsHelpError


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


class LogContradicted(CommandError):
    """What is stored of the log is not what was written there, or cannot be read: as `audit verify` says it."""

    exit_code = 4


class OneLineCommand(click.Command):
    """A command whose usage errors are one line too, in place of click's three."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if not all(map(_is_text, args)):
            raise CommandError("an argument is not UTF-8 text")
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _one_line(error) from None


class OneLineGroup(OneLineCommand, click.Group):
    """A group of such commands; a command that does not exist is one line as well."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise _one_line(error) from None


def _is_text(argument: str) -> bool:
    """Return whether an argument can be stored, sent and printed: bytes that are not UTF-8 arrive as surrogates."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _what_there_is(parameter: click.Parameter | None) -> str:
    """Return what a value may be, where that is told without saying back what was given."""
    kind = None if parameter is None else parameter.type
    if isinstance(kind, click.Choice):
        return f"; one of: {', '.join(map(str, kind.choices))}"
    if isinstance(kind, click.IntRange) and kind.min is not None and kind.max is not None:
        return f"; a whole number from {kind.min} to {kind.max}"
    if isinstance(kind, click.IntRange) and kind.min is not None:
        return f"; a whole number from {kind.min}"
    if parameter is not None and kind is click.INT:
        return "; a whole number"
    return ""


def _one_line(error: click.UsageError) -> click.ClickException:
    """Return the error to raise instead; a bad value is named by its option alone, for it may be an identifier."""
    if isinstance(error, NoArgsIsHelpError):
        return error
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        hint = error.param.get_error_hint(error.ctx) if error.param and error.ctx else "an option"
        return CommandError(f"not a valid value for {hint}{_what_there_is(error.param)}")
    return CommandError(error.format_message())
