"""The image and the compose file, as far as they can be checked without an engine."""

from __future__ import annotations

import json
import re
import shlex
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from connectors import registry
from gateway.__main__ import main
from gateway.commands.listening import server_for
from tests.docs.markdown import ROOT, text_of

Instruction = tuple[str, str]
_CONTINUED = re.compile(r"\\\n\s*")
_KNOWN = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK"} | {
    "STOPSIGNAL",
    "CMD",
}


def instructions(text: str) -> list[Instruction]:
    """Return the instructions of a Dockerfile, comments left out and continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = _CONTINUED.sub("", "\n".join(lines))
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


DOCKERFILE = instructions(text_of("docker/Dockerfile"))


def of(word: str) -> list[str]:
    return [rest for found, rest in DOCKERFILE if found == word]


def faults(found: list[Instruction]) -> list[str]:
    """Return what a reviewer would object to."""
    words = [word for word, _ in found]
    users = [rest for word, rest in found if word == "USER"]
    said = []
    if set(words) - _KNOWN:
        said.append("an instruction that nobody expects")
    if not users or users[-1] in {"root", "0"} or words.index("USER") > words.index("CMD"):
        said.append("runs as root")
    if any("latest" in rest or ":" not in rest for word, rest in found if word == "FROM"):
        said.append("no version of the base image")
    if any(re.search(r"\b(curl|wget)\b|\|\s*sh\b", rest) for _, rest in found):
        said.append("fetches what is not locked")
    if any(rest.startswith(". ") for word, rest in found if word == "COPY"):
        said.append("copies everything")
    return said


def test_the_dockerfile_has_nothing_to_object_to() -> None:
    assert faults(DOCKERFILE) == []
    assert of("FROM") == ["python:3.11-slim"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param("USER root", "runs as root", id="as-root"),
        pytest.param("FROM python:latest", "no version of the base image", id="whatever-is-latest"),
        pytest.param("RUN curl http://x.example | sh", "fetches what is not locked", id="from-the-network"),
        pytest.param("COPY . .", "copies everything", id="everything"),
        pytest.param("ADD http://x.example/f .", "an instruction that nobody expects", id="an-unknown-instruction"),
    ],
)
def test_a_bad_line_would_be_found(line: str, fault: str) -> None:
    assert fault in faults(
        [*instructions(line), *DOCKERFILE] if line.startswith("FROM") else [*DOCKERFILE, *instructions(line)]
    )


def test_what_is_copied_exists_and_is_sent_to_the_engine() -> None:
    sent = {line[1:] for line in text_of(".dockerignore").splitlines() if line.startswith("!")}
    copied = {source for rest in of("COPY") for source in rest.split()[:-1]}

    assert all((ROOT / source).exists() for source in copied)
    assert copied == sent


def test_the_image_holds_every_package_and_what_its_installation_reads() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))
    copied = {source for rest in of("COPY") for source in rest.split()[:-1]}

    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied
    assert project["project"]["readme"] in copied
    assert {"requirements.lock", "pyproject.toml", "docker/install"} <= copied
    assert not any(source.startswith("tests") for source in copied)


def test_the_image_is_installed_by_the_script_that_make_uses() -> None:
    (command,) = [rest for rest in of("RUN") if "install runtime" in rest]

    assert command == "sh docker/install runtime"
    assert re.search(r"^\s+@sh docker/install runtime$", text_of("Makefile"), re.MULTILINE)
    assert re.search(r"^runtime \| test\)$", text_of("docker/install"), re.MULTILINE)


def test_the_extra_that_the_image_may_have_is_one_of_the_project_and_of_the_installer() -> None:
    (extras,) = of("ARG")
    (command,) = [rest for rest in of("RUN") if "EXTRAS" in rest]
    project = tomllib.loads(text_of("pyproject.toml"))["project"]

    assert extras == 'EXTRAS=""'
    assert command == 'if [ -n "$EXTRAS" ]; then sh docker/install "$EXTRAS"; fi'
    assert "telemetry" in project["optional-dependencies"]
    assert re.search(r"^telemetry\)$", text_of("docker/install"), re.MULTILINE)


def test_with_the_extra_the_image_holds_the_versions_that_it_holds_without() -> None:
    def pinned(lock: str) -> dict[str, str]:
        return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[\w+\])?==([^ ;\\]+)", text_of(lock), re.MULTILINE))

    without, extra = pinned("requirements.lock"), pinned("requirements-telemetry.lock")

    assert without.items() <= extra.items()
    assert "opentelemetry-sdk" in extra.keys() - without.keys()
    assert not any("grpc" in name for name in extra)
    assert extra.items() <= pinned("requirements-test.lock").items()


def exit_code_of(arguments: list[str]) -> int:
    return CliRunner().invoke(main, [*arguments, "--help"]).exit_code


def check_command(words: list[str]) -> None:
    """Assert that a command of the image is one of ours and knows its options."""
    assert words[0] == "contactpoint"
    command = main.commands[words[1]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    assert exit_code_of([words[1]]) == 0


def test_the_image_starts_the_server_by_a_command_that_exists() -> None:
    (command,) = of("CMD")

    check_command(json.loads(command))


def test_the_health_check_asks_livez_by_python_that_compiles() -> None:
    (check,) = of("HEALTHCHECK")
    words: list[str] = json.loads(check.partition("CMD ")[2])

    assert words[:2] == ["python", "-c"]
    compile(words[2], "healthcheck", "exec")
    assert "'/livez'" in words[2]
    assert '"/livez"' in text_of("gateway/front/operations.py")
    assert of("EXPOSE") == ["8000"]
    assert "8000" in words[2]


COMPOSE: dict[str, Any] = yaml.safe_load(text_of("docker/compose.yaml"))


def test_compose_has_the_gateway_and_behind_profiles_the_demo_a_database_and_a_dashboard() -> None:
    assert set(COMPOSE["services"]) == {"gateway", "demo", "postgres", "prometheus", "grafana"}
    assert COMPOSE["services"]["demo"]["profiles"] == ["demo"]
    assert COMPOSE["services"]["postgres"]["profiles"] == ["postgres"]
    assert "profiles" not in COMPOSE["services"]["gateway"]


def test_the_database_is_durable_has_no_port_and_no_password_in_the_file() -> None:
    service = COMPOSE["services"]["postgres"]

    assert {"synchronous_commit=on", "fsync=on", "full_page_writes=on"} <= set(service["command"])
    assert "ports" not in service
    assert {name for name in service["environment"] if "PASSWORD" in name} == {"POSTGRES_PASSWORD_FILE"}
    assert service["volumes"][0].split(":")[0] in COMPOSE["volumes"]


@pytest.mark.parametrize("name", ["demo", "gateway"])
def test_a_service_runs_a_command_that_exists_without_privileges(name: str) -> None:
    service = COMPOSE["services"][name]

    check_command(service["command"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    build = service["build"]
    assert (ROOT / "docker" / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    assert not service.get("privileged")
    assert "environment" not in service


def test_the_gateway_keeps_its_log_in_a_named_volume_where_the_configuration_says() -> None:
    mounts = dict(reversed(mount.removesuffix(":ro").split(":")) for mount in COMPOSE["services"]["gateway"]["volumes"])
    settings = tomllib.loads(text_of("docker/gateway.toml"))

    assert mounts["/var/lib/contactpoint"] in COMPOSE["volumes"]
    assert settings["database"]["url"].startswith("sqlite:////var/lib/contactpoint/")
    assert of("VOLUME") == ["/var/lib/contactpoint"]
    assert mounts["/etc/contactpoint/gateway.toml"] == "./gateway.toml"
    assert "/etc/contactpoint/gateway.toml" in COMPOSE["services"]["gateway"]["command"]


def test_compose_waits_longer_than_the_server_takes_to_end() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None: ...

    seconds = int(COMPOSE["services"]["gateway"]["stop_grace_period"].removesuffix("s"))

    assert seconds > (server_for(application, "127.0.0.1", 0).config.timeout_graceful_shutdown or 0) > 0


def test_the_example_configuration_is_good_where_its_directory_is(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    text = text_of("docker/gateway.toml")
    assert text.count("/var/lib/contactpoint/") == 1

    def checked(folder: Path) -> Result:
        file.write_text(text.replace("/var/lib/contactpoint/", f"{folder}/"))
        return CliRunner().invoke(main, ["check-config", "--config", str(file)])

    assert checked(tmp_path).exit_code == 0
    outside = checked(tmp_path / "none")
    assert (outside.exit_code, outside.stderr) == (2, f"{file}: database.url: {tmp_path}/none: no such directory\n")


def test_the_example_source_in_it_is_one_that_a_driver_takes(tmp_path: Path) -> None:
    lines = [line for line in text_of("docker/gateway.toml").splitlines() if re.match(r"# (\[|\w+ = )", line)]
    example = tomllib.loads("\n".join(line[2:] for line in lines))
    (entry,) = example["connectors"]
    secret = tmp_path / "secret"
    secret.write_text("fictional")
    # in the file these are tables of the connector, written the short way
    entry |= {key: value for key, value in example.items() if key not in {"connectors", "audit", "agreements"}}
    entry["auth"]["client_secret_file"] = str(secret)

    connector = registry.build(entry)

    assert connector.manifest.agency.id == "cs-northshire"


def test_the_installer_is_a_shell_script_that_parses_its_own_words() -> None:
    text = text_of("docker/install")

    assert text.startswith("#!/bin/sh\n")
    assert "set -eu" in text
    assert "--require-hashes" in text
    assert shlex.split(of("RUN")[0]) == ["sh", "docker/install", "runtime"]
    assert (ROOT / "docker/install").stat().st_mode & stat.S_IRUSR
