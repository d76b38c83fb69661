"""Every record of a lived log, in every format, against the structure that the format's owner publishes."""

from __future__ import annotations

import asyncio
import base64
import csv
import json
import re
import stat
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fhir.resources.R4B.auditevent import AuditEvent

from gateway.__main__ import main
from gateway.audit.canonical import canonical
from gateway.audit.checkpoints import parse_checkpoint
from gateway.audit.events import EventKind
from gateway.audit.export.ecs import ecs
from gateway.audit.export.entry import Entry, entries
from gateway.audit.export.fhir import fhir
from gateway.audit.export.jsonl import jsonl
from gateway.audit.export.ocsf import ocsf
from gateway.audit.export.tiles import path_of, write_tiles
from gateway.audit.merkle import Frontier
from gateway.audit.tables import audit_checkpoint
from gateway.storage.engine import open_engine
from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.world import ALL_SCOPES, running_world, today

PUBLISHED = Path(__file__).parents[1] / "fixtures" / "published"
REGISTER = "mutation ($a: AppointmentInput!) { registerAppointment(appointment: $a) { id } }"
COURT = {"org": "amber-court", "sub": "clerk", "roles": [], "scope": "appointment:write"}


@pytest.fixture
def lived(tmp_path: Path) -> Path:
    """The folder of a gateway that was asked, refused, overridden, appointed at and knocked at; it has stopped."""
    asyncio.run(_live(tmp_path))
    return tmp_path


async def _live(tmp_path: Path) -> None:
    council = source("cs-amber", known(CHILD, row(number="SW1"), row(local_id="two", name="Ben Clay")))
    async with running_world(tmp_path, council, source("police-amber", known(CHILD))) as world:
        await world.ask(name="Ms Amis", registration="SWE:SW1", team="Duty team")
        await world.ask("9990000026")
        await world.ask(scope="none")
        override = {"override": {"justification": "A child is in danger now", "acceptReview": True}}
        await world.ask(
            access=override, scope=f"{ALL_SCOPES} lookup:override", auth_time=int(world.tokens.clock()) - 60
        )
        stated = {
            "nhsNumber": CHILD,
            "appointeeSubject": "g",
            "appointeeOrganisation": "amber-guardians",
            "purpose": "CAFCASS_S42",
            "evidence": "An order",
            "expiresOn": (today() + timedelta(days=30)).isoformat(),
        }
        await world.post(REGISTER, {"a": stated}, **COURT)
        await world.client.post("/graphql", json={"query": "{ __typename }"}, headers={"Authorization": "Bearer x"})


@pytest.fixture
def records(lived: Path) -> Iterator[list[Entry]]:
    engine = open_engine(f"sqlite:///{lived}/gateway.db")
    with engine.connect() as connection:
        found = list(entries(connection))
    yield found
    engine.dispose()


def test_the_lived_log_has_every_kind_that_matters(records: list[Entry]) -> None:
    kinds = {entry.kind for entry in records}

    assert {EventKind.INTENT, EventKind.OUTCOME, EventKind.DENIED, EventKind.OVERRIDE, EventKind.ADMIN} <= kinds
    assert any(entry.discloses for entry in records)


# ------------------------------------------------------------------------------------------------------------- FHIR

DCM = "http://dicom.nema.org/resources/ontology/DCM"
PROFILES: Mapping[str, Mapping[str, Any]] = {
    # what the profiles of IHE BALP ask for beyond R4: type, one of the subtypes, action, agents' types, entities
    "PatientQuery": {
        "type": "rest",
        "subtype": {"search", "search-type", "search-system"},
        "action": "E",
        "agents": {"110153", "110152", "IRCP"},
        "entities": {("1", "1"), ("2", "24")},
    },
    "PrivacyDisclosure.Source": {
        "type": "110106",
        "subtype": {"disclose"},
        "action": "R",
        "agents": {"110153", "110152"},
        "entities": {("1", "1")},
    },
}


def balp_faults(event: Mapping[str, Any]) -> list[str]:
    """Say what a profile asks for and the event lacks."""
    found = []
    for url in (event.get("meta") or {}).get("profile", ()):
        profile = PROFILES[url.partition("IHE.BasicAudit.")[2]]
        if event["type"]["code"] != profile["type"] or event["action"] != profile["action"]:
            found.append("type or action")
        if not {each["code"] for each in event["subtype"]} & profile["subtype"]:
            found.append("subtype")
        if event.get("outcome") != "0":
            found.append("outcome")
        agents = {c["code"]: a for a in event["agent"] for c in a.get("type", {}).get("coding", ())}
        if not profile["agents"] <= agents.keys():
            found.append("agents")
        if not all(agents[each].get("network") for each in profile["agents"] - {"IRCP"} if each in agents):
            found.append("network")
        if profile["type"] == "110106" and agents["110153"]["who"] != event["source"]["observer"]:
            found.append("val-audit-source")
        pairs = {(e["type"]["code"], e.get("role", {}).get("code")) for e in event["entity"]}
        if not profile["entities"] <= pairs or len(event["entity"]) < 2:
            found.append("entities")
        queries = [e for e in event["entity"] if e.get("role", {}).get("code") == "24"]
        if any("what" in query or not query.get("query") for query in queries):
            found.append("query")
    return found


def test_every_record_is_a_valid_audit_event_and_keeps_its_profile(records: list[Entry]) -> None:
    profiles = set()
    for entry in records:
        event = fhir(entry)
        AuditEvent.model_validate(event)
        assert sum(bool(agent["requestor"]) for agent in event["agent"]) == 1
        assert balp_faults(event) == []
        profiles |= set((event.get("meta") or {}).get("profile", ()))

    assert len(profiles) == len(PROFILES)


def test_an_event_that_lacks_what_r4_or_its_profile_asks_for_is_noticed(records: list[Entry]) -> None:
    event = fhir(next(entry for entry in records if entry.discloses))
    for missing in ("type", "recorded", "agent", "source"):
        with pytest.raises(ValueError, match=r".+"):
            AuditEvent.model_validate({name: value for name, value in event.items() if name != missing})
    with pytest.raises(ValueError, match=r".+"):
        AuditEvent.model_validate(event | {"who": "x"})
    assert balp_faults(event | {"action": "E"}) == ["type or action"]
    assert balp_faults(event | {"entity": event["entity"][1:]}) == ["entities"]
    assert balp_faults(event | {"source": {"observer": {"display": "another"}}}) == ["val-audit-source"]


# ------------------------------------------------------------------------------------------------------------- OCSF

OBJECTS = {
    "metadata": "metadata",
    "product": "product",
    "actor": "actor",
    "user": "user",
    "groups": "group",
    "org": "organization",
    "session": "session",
    "api": "api",
    "request": "request",
    "service": "service",
    "src_endpoint": "network_endpoint",
    "resources": "resource_details",
}


@cache
def ocsf_class(name: str, folder: str) -> dict[str, dict[str, Any]]:
    """Return the attributes of a published class or object with those of what it extends."""
    file = PUBLISHED / "ocsf" / folder / f"{name}.json"
    published = json.loads(file.read_text(encoding="utf-8"))
    base = published.get("extends")
    found = {}
    if base is not None:
        found = dict(ocsf_class(base, "events" if base == "base_event" else folder))
    for attribute, told in published["attributes"].items():
        if not attribute.startswith("$"):
            known = found.get(attribute) or ocsf_dictionary().get(attribute, {})
            found[attribute] = {**known, **told, "enum": {**known.get("enum", {}), **told.get("enum", {})}}
    return found


@cache
def ocsf_dictionary() -> dict[str, dict[str, Any]]:
    """Return what is published of each attribute, whatever it is an attribute of."""
    published = json.loads((PUBLISHED / "ocsf" / "dictionary.json").read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = published["attributes"]
    return found


def ocsf_faults(value: Mapping[str, Any], attributes: Mapping[str, Any], where: str = "") -> list[str]:
    """Say what a class or object requires and lacks, or holds and does not know, or gives a value not its own."""
    found = [
        f"{where}{n} is missing" for n, a in attributes.items() if a.get("requirement") == "required" and n not in value
    ]
    for name, inner in value.items():
        if name not in attributes:
            found.append(f"{where}{name} is not known")
        elif name in OBJECTS:
            for each in inner if isinstance(inner, list) else [inner]:
                found += ocsf_faults(each, ocsf_class(OBJECTS[name], "objects"), f"{where}{name}.")
        elif name.endswith("_id") and str(inner) not in {*attributes[name]["enum"], "0", "99"}:
            found.append(f"{where}{name} has another value")
    return found


def test_every_record_is_an_api_activity_of_ocsf(records: list[Entry]) -> None:
    published = ocsf_class("api_activity", "events/application")
    released = json.loads((PUBLISHED / "ocsf" / "version.json").read_text(encoding="utf-8"))["version"]
    for entry in records:
        event = ocsf(entry)
        assert event["metadata"]["version"] == released
        assert ocsf_faults(event, published) == []
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["class_uid"] == event["category_uid"] * 1000 + 3


def test_an_event_that_ocsf_does_not_know_is_noticed(records: list[Entry]) -> None:
    published = ocsf_class("api_activity", "events/application")
    event = ocsf(records[0])

    assert ocsf_faults(event | {"lookups": 1}, published) == ["lookups is not known"]
    assert ocsf_faults(event | {"activity_id": 7}, published) == ["activity_id has another value"]
    assert ocsf_faults(event | {"status_id": 3}, published) == ["status_id has another value"]
    assert ocsf_faults(event | {"severity_id": 7}, published) == ["severity_id has another value"]
    assert ocsf_faults({n: v for n, v in event.items() if n != "actor"}, published) == ["actor is missing"]
    assert ocsf_faults(event | {"api": {}}, published) == ["api.operation is missing"]


# -------------------------------------------------------------------------------------------------------------- ECS


@cache
def ecs_lines() -> tuple[dict[str, str], ...]:
    with (PUBLISHED / "ecs" / "fields.csv").open(encoding="utf-8", newline="") as opened:
        return tuple(csv.DictReader(opened))


@cache
def ecs_fields() -> frozenset[str]:
    return frozenset(line["Field"] for line in ecs_lines())


def ecs_unknown(document: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the fields that are not published, and stand neither in `labels` nor in our own object."""
    found = []
    for name, value in document.items():
        path = f"{prefix}{name}"
        if path in {"labels", "contactpoint"}:
            continue
        if isinstance(value, Mapping):
            found += ecs_unknown(value, f"{path}.")
        elif path not in ecs_fields():
            found.append(path)
    return found


def test_every_record_has_the_fields_of_ecs_and_no_others(records: list[Entry]) -> None:
    for entry in records:
        document = ecs(entry)
        assert ecs_unknown(document) == []
        assert {line["ECS_Version"] for line in ecs_lines()} == {document["ecs"]["version"]}
        assert {"@timestamp", "ecs", "event"} <= document.keys()
        assert all(isinstance(label, str) for label in document["labels"].values())
    assert ecs_unknown({"event": {"whim": 1}, "person": 2}) == ["event.whim", "person"]


def test_each_format_names_a_release_and_not_what_its_owner_is_still_working_on(records: list[Entry]) -> None:
    for version in (ecs(records[0])["ecs"]["version"], ocsf(records[0])["metadata"]["version"]):
        assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version)


# ------------------------------------------------------------------------------------------------- what nothing loses


def test_jsonl_holds_all_that_is_needed_to_recompute_every_hash(records: list[Entry]) -> None:
    for entry in records:
        line = json.loads(json.dumps(jsonl(entry)))
        body = canonical(line["payload"])
        assert sha256(bytes.fromhex(line["salt"]) + body).hexdigest() == line["leaf"]["ph"]
        assert sha256(b"\x00" + canonical(line["leaf"])).hexdigest() == line["leafHash"]


@pytest.mark.parametrize("view", [fhir, ocsf, ecs, jsonl])
def test_no_format_names_the_child_unless_identified(records: list[Entry], view: Any) -> None:
    assert not [entry for entry in records if CHILD in json.dumps(view(entry))]


# ------------------------------------------------------------------------------------------------------------ tiles


def root_of(folder: Path, size: int) -> bytes:
    """Recompute a root from published files alone: every leaf out of its bundle, hashed again (RFC 6962)."""
    leaves: list[bytes] = []
    for index in range((size + 255) // 256):
        whole = folder / "tile" / "entries" / path_of(index)
        width = min(256, size - index * 256)
        content = (whole if width == 256 else whole.with_name(whole.name + ".p") / str(width)).read_bytes()
        while content:
            length = int.from_bytes(content[:2])
            leaves.append(sha256(b"\x00" + content[2 : 2 + length]).digest())
            content = content[2 + length :]

    def subtree(hashes: list[bytes]) -> bytes:
        if len(hashes) == 1:
            return hashes[0]
        split = 1 << (len(hashes) - 1).bit_length() - 1
        return sha256(b"\x01" + subtree(hashes[:split]) + subtree(hashes[split:])).digest()

    for level in range(2):
        tiles = sorted((folder / "tile" / str(level)).rglob("*")) if (folder / "tile" / str(level)).exists() else []
        held = b"".join(each.read_bytes() for each in tiles if each.is_file())
        own = leaves if level == 0 else [subtree(leaves[i : i + 256]) for i in range(0, len(leaves) - 255, 256)]
        assert held == b"".join(own)
    assert len(leaves) == size
    return subtree(leaves)


@pytest.mark.parametrize("size", [1, 5, 255, 256, 257, 700])
def test_a_reader_of_the_tiles_finds_the_root_of_their_checkpoint(lived: Path, tmp_path: Path, size: int) -> None:
    engine = open_engine(f"sqlite:///{lived}/gateway.db")
    tree = Frontier()
    leaf, node = "INSERT INTO audit_leaf VALUES (?, ?, ?, ?)", []
    with engine.begin() as connection:
        for seq in range(size):
            body = b'{"kind":"HEARTBEAT","ph":"x","seq":%d,"shard":"many","t":1,"v":1}' % seq
            hashed = sha256(b"\x00" + body).digest()
            node += list(tree.append(hashed))
            connection.exec_driver_sql(leaf, ("many", seq, body, hashed))
        note = f"o\n{size}\n{base64.b64encode(tree.root()).decode()}\n".encode()
        connection.execute(audit_checkpoint.insert(), {"shard": "many", "size": size, "note": note})
    with engine.connect() as connection:
        assert write_tiles(connection, "many", tmp_path / "tiles") == size
    engine.dispose()
    checkpoint = parse_checkpoint((tmp_path / "tiles" / "checkpoint").read_text())

    assert root_of(tmp_path / "tiles", checkpoint.size) == checkpoint.root


# ------------------------------------------------------------------------------------------------------ the command


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    config = folder / "export.toml"
    config.write_text(
        f'[resource]\nidentifier = "https://gateway.example/graphql"\n[database]\nurl = "sqlite:///{folder}/gateway.db"\n'
    )
    done = CliRunner().invoke(main, ["audit", "export", "--config", str(config), *arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("form", ["fhir", "ocsf", "ecs", "jsonl"])
def test_an_export_is_a_reading_on_record_before_it_leaves(lived: Path, form: str) -> None:
    code, out, errors = run(lived, "--format", form)
    lines = [json.loads(line) for line in out.splitlines()]

    assert code == 0, errors
    assert CHILD not in out
    assert len(lines) > 8
    if form == "jsonl":
        reading = [line["payload"] for line in lines if line["leaf"]["kind"] == "READ"]
        assert [(each["reading"], each["filter"]["format"]) for each in reading] == [("EXPORT", "jsonl")]


def test_children_are_named_only_when_another_person_approves(lived: Path) -> None:
    asked = ("--format", "fhir", "--identify", "--requested-by", "A")
    refused, out, errors = run(lived, *asked)
    assert (refused, out) == (2, "")
    assert "--approved-by" in errors
    for themselves in ("A", " a ", "a.", ""):
        assert run(lived, *asked, "--approved-by", themselves, "--authority", "x")[:2] == (2, "")
    assert run(lived, *asked, "--approved-by", "B", "--authority", " ")[:2] == (2, "")

    code, out, errors = run(lived, *asked, "--approved-by", "B", "--authority", "SAR-1")
    assert code == 0, errors
    assert CHILD in out


def test_a_file_of_an_export_is_new_and_its_owners_alone(lived: Path, tmp_path: Path) -> None:
    out, there = tmp_path / "out.jsonl", tmp_path / "there.jsonl"
    there.write_text("kept\n")

    assert run(lived, "--format", "jsonl", "--out", str(out))[0] == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    code, _, errors = run(lived, "--format", "jsonl", "--out", str(there))
    assert (code, errors.count("\n"), there.read_text()) == (2, 1, "kept\n")


def spoil(folder: Path, statement: str) -> None:
    """Change a record behind the triggers."""
    engine = open_engine(f"sqlite:///{folder}/gateway.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_leaf_fixed")
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_payload_fixed")
        connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.mark.parametrize("form", ["fhir", "ocsf", "ecs", "jsonl"])
@pytest.mark.parametrize("kept", ["CAST(replace(body, 'Ms Amis', 'Ms Else') AS BLOB)", "replace(body, 'a', 'b')"])
def test_a_payload_that_its_leaf_does_not_bind_is_told_to_nobody_and_said(lived: Path, form: str, kept: str) -> None:
    whole = len(run(lived, "--format", form)[1].splitlines())
    spoil(lived, f"UPDATE audit_payload SET body = {kept} WHERE instr(body, 'Ms Amis')")  # noqa: S608

    code, out, errors = run(lived, "--format", form)

    assert code == 4
    assert "were left out" in errors.splitlines()[-1]
    assert "Ms Else" not in out
    assert len(out.splitlines()) > whole  # no record is left out, and the reading before is one more


@pytest.mark.parametrize("form", ["fhir", "jsonl", "tiles"])
def test_a_leaf_that_cannot_be_read_is_one_line_and_exit_4(lived: Path, tmp_path: Path, form: str) -> None:
    spoil(lived, "UPDATE audit_leaf SET body = x'00' WHERE seq = 2")

    code, _, errors = run(lived, "--format", form, "--out", str(tmp_path / "out"))

    assert code == 4
    assert (
        errors.splitlines()[-1] == "contactpoint: a record of the log cannot be read; run `contactpoint audit verify`"
    )


def test_tiles_need_a_folder_and_name_nobody(lived: Path, tmp_path: Path) -> None:
    assert run(lived, "--format", "tiles")[0] == 2
    code, _, errors = run(lived, "--format", "tiles", "--out", str(tmp_path / "tiles"))

    assert code == 0, errors
    assert not [f for f in (tmp_path / "tiles").rglob("*") if f.is_file() and b"Amis" in f.read_bytes()]
