"""The configuration: a file, the environment over it, and every fault with its key and never its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import SettingsFault, audit_key_file
from gateway.settings_reading import load

GOOD = """\
[server]
port = 9000

[resource]
identifier = "https://gateway.example/graphql"

[[issuers]]
issuer = "https://id.example"
jwks_file = "keys/jwks.json"

[database]
url = "sqlite:///data/gateway.db"

[agreements]
directory = "../agreements"

[limits]
person_lookups = { minute = 3 }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD)
    return path


def test_a_good_file_is_read_and_what_it_leaves_out_has_its_default(file: Path) -> None:
    settings = load(file)

    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 9000)
    assert settings.limits.person_lookups.as_limits() == {"minute": 3, "hour": 60, "day": 200}
    assert settings.limits.person_misses.as_limits() == {"hour": 5, "day": 20}
    assert settings.issuers[0].algorithms == ("ES256", "PS256")
    assert settings.connectors == ()


def test_paths_are_read_from_beside_the_file(file: Path) -> None:
    settings = load(file)

    assert settings.issuers[0].jwks_file == file.parent / "keys" / "jwks.json"
    assert settings.database.url == f"sqlite:///{file.parent}/data/gateway.db"
    assert settings.agreements.directory == file.parent.parent / "agreements"
    assert audit_key_file(settings) == file.parent / "data" / "gateway.audit-key.json"


def test_an_audit_key_file_that_is_named_is_used(file: Path) -> None:
    file.write_text(GOOD + '\n[audit]\nkey_file = "k.json"\n')

    assert audit_key_file(load(file)) == file.parent / "k.json"


def test_the_environment_stands_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTACTPOINT_SERVER__PORT", "9100")
    monkeypatch.setenv("CONTACTPOINT_LIMITS__PERSON_LOOKUPS__DAY", "7")
    settings = load(file)

    assert settings.server.port == 9100
    assert settings.limits.person_lookups.as_limits()["day"] == 7
    assert settings.resource.identifier == "https://gateway.example/graphql"


FAULTS = [
    ("port = 9000", "port = 90000", "server.port: "),
    ("port = 9000", 'port = "SECRET-TEXT"', "server.port: "),
    ("port = 9000", "prt = 9000", "server.prt: is not a setting"),
    ('identifier = "https://gateway.example/graphql"', "", "resource.identifier: is missing"),
    ("https://gateway.example/graphql", "nonsense", "resource.identifier: must be an https URL"),
    ("https://gateway.example/graphql", "http://gateway.example/graphql", "resource.identifier: must be an https URL"),
    ("https://gateway.example/graphql", "https:///graphql", "resource.identifier: must be an https URL"),
    ("https://gateway.example/graphql", "https://g.example:x/", "resource.identifier: must be an https URL"),
    ("https://gateway.example/graphql", "https://g.example/#a", "resource.identifier: must hold no user and no fr"),
    ("https://gateway.example/graphql", "https://SECRET-TEXT@g.example/", "resource.identifier: must hold no user"),
    ('issuer = "https://id.example"', "", "issuers[0].issuer: is missing"),
    ("[database]", "[databse]", "databse: is not a setting"),
    ("minute = 3", "minute = -3", "limits.person_lookups.minute: "),
    ("[server]", "[server]\nworkers = 65", "server.workers: "),
]


@pytest.mark.parametrize(("good", "bad", "told"), FAULTS)
def test_a_fault_is_told_with_its_key_and_without_its_value(file: Path, good: str, bad: str, told: str) -> None:
    file.write_text(GOOD.replace(good, bad))

    with pytest.raises(SettingsFault) as refused:
        load(file)

    assert refused.value.faults[0].startswith(f"{file}: {told}")
    assert "SECRET-TEXT" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/graphql", "http://[::1]/", "http://localhost/graphql"])
def test_on_the_loopback_address_the_resource_may_be_http(file: Path, url: str) -> None:
    file.write_text(GOOD.replace("https://gateway.example/graphql", url))

    assert load(file).resource.identifier == url


def test_every_fault_is_told_at_once(file: Path) -> None:
    file.write_text(GOOD.replace("port = 9000", "port = -1").replace("minute = 3", "minute = -3"))

    with pytest.raises(SettingsFault) as refused:
        load(file)
    assert len(refused.value.faults) == 2


@pytest.mark.parametrize("name", ["CONTACTPOINT_LIMIT__PERSON_MISSES__DAY", "CONTACTPOINT_SERVER_PORT__X"])
def test_a_variable_that_names_no_section_is_no_setting_and_is_not_passed_over(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "5-SECRET")

    with pytest.raises(SettingsFault) as refused:
        load(file)
    assert refused.value.faults == [f"environment: {name}: is not a setting"]


@pytest.mark.parametrize("name", ["CONTACTPOINT_TOKEN", "CONTACTPOINT_PORT", "CONTACTPOINT_SERVICE_HOST"])
def test_a_variable_that_has_not_the_form_of_a_setting_is_somebody_elses(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "tcp://10.0.0.1:8000")

    assert load(file).server.port == 9000


def test_a_value_of_the_environment_that_cannot_be_read_is_told_by_the_variables_name(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTACTPOINT_ISSUERS", "not-json-SECRET")

    with pytest.raises(SettingsFault) as refused:
        load(file)
    assert refused.value.faults == ["environment: CONTACTPOINT_ISSUERS: cannot be read"]


def test_a_file_that_is_not_there_not_text_or_not_toml_is_told(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    (tmp_path / "not.toml").write_text("[server\n")

    (tmp_path / "folder.toml").mkdir()

    told = {"none": "no such file", "bytes": "cannot be read", "not": "line 1", "folder": "is a directory"}
    for name, words in ((f"{each}.toml", words) for each, words in told.items()):
        with pytest.raises(SettingsFault, match=words):
            load(tmp_path / name)


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param("total_seconds = 0.2", id="less-than-the-reserve-that-there-is-by-default"),
        pytest.param("total_seconds = 3\nreserve_seconds = 3", id="all-of-it-in-reserve"),
    ],
)
def test_a_total_that_leaves_sources_no_time_is_a_fault(file: Path, limits: str) -> None:
    """Every source would read TIMEOUT in every lookup, and nothing would say why."""
    file.write_text(GOOD.replace("person_lookups = { minute = 3 }", limits))

    with pytest.raises(SettingsFault) as refused:
        load(file)

    assert refused.value.faults == [
        f"{file}: limits: reserve_seconds must be less than total_seconds: sources need time"
    ]
