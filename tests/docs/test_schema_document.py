"""The published SDL is the schema."""

from __future__ import annotations

from click.testing import CliRunner
from graphql import build_schema, parse, validate

from gateway.__main__ import main
from tests.docs.markdown import code_blocks, text_of


def test_the_committed_sdl_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(main, ["schema", "print"])

    assert printed.exit_code == 0
    assert text_of("schema/directory.graphql") == printed.output, "run `make fix` and review the diff"


def test_every_operation_in_the_readme_is_valid_against_the_published_schema() -> None:
    schema = build_schema(text_of("schema/directory.graphql"))
    operations = code_blocks(text_of("README.md"), "graphql")

    assert operations
    for operation in operations:
        assert validate(schema, parse(operation)) == []
