"""What is committed speaks of the project alone; who must approve what is written down."""

from __future__ import annotations

import re
import tomllib

from tests.docs.markdown import ROOT, text_of, tracked_files

# Put together here, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a package registry": ["py" + "pi.org", "python" + "hosted", "registry.npm" + "js", "registry.yarn" + "pkg"],
    "a path of somebody's machine": ["/work" + "/", "/root" + "/", "/home" + "/", "/Users" + "/", "C:" + "\\\\"],
    "a passing note": ["FIX" + "ME", "XX" + "X:"],
}
_BINARY = (".png", ".jpg", ".ico", ".pem", ".db", ".gz")


def found_in(text: str) -> list[str]:
    return [f"{what}: {word}" for what, words in FORBIDDEN.items() for word in words if word in text]


def test_no_tracked_file_names_a_registry_or_a_machine() -> None:
    found = {}
    for name in tracked_files():
        if name.endswith(_BINARY):
            continue
        faults = found_in((ROOT / name).read_text(encoding="utf-8", errors="replace"))
        if name.startswith("tests/fixtures/published/"):
            # not ours to edit: the examples of a published field list name folders
            faults = [fault for fault in faults if "machine" not in fault]
        if faults:
            found[name] = faults

    assert found == {}


def test_a_registry_in_a_lock_would_be_found() -> None:
    assert found_in("--index-url https://" + "py" + "pi.org/simple") == ["a package registry: " + "py" + "pi.org"]


def test_every_locked_package_is_pinned_and_hashed() -> None:
    for lock in ("requirements.lock", "requirements-telemetry.lock", "requirements-test.lock"):
        text = text_of(lock)
        entries = [e for e in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE) if e and not e.startswith("#")]
        assert entries
        assert [e.split()[0] for e in entries if "==" not in e.split("\n")[0] or "--hash=sha256:" not in e] == []


def owners() -> list[tuple[str, list[str]]]:
    lines = text_of(".github/CODEOWNERS").splitlines()
    return [(line.split()[0], line.split()[1:]) for line in lines if line.strip() and not line.startswith("#")]


def test_every_owned_path_exists_and_has_an_owner() -> None:
    for pattern, who in owners():
        assert who, pattern
        assert pattern == "*" or (ROOT / pattern.lstrip("/")).exists(), pattern


def test_agreements_are_owned_by_information_governance_alone() -> None:
    agreements = [name for name in tracked_files() if name.startswith("auth/agreements/")]

    assert agreements
    for name in agreements:
        last = next(who for pattern, who in reversed(owners()) if pattern == "*" or f"/{name}".startswith(pattern))
        assert last == ["@contactpoint-gateway/information-governance"], name


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    newest = re.search(r"^## (\S+)", text_of("CHANGELOG.md"), re.MULTILINE)

    assert newest is not None
    assert newest[1] == version
    assert version in text_of("README.md")


def test_the_licence_is_mit_and_the_readme_says_so() -> None:
    assert text_of("LICENSE").startswith("MIT License")
    assert "[MIT](LICENSE)" in text_of("README.md")


def test_every_dependency_has_its_reason_beside_it() -> None:
    block = text_of("pyproject.toml").partition("\ndependencies = [\n")[2].partition("\n]\n")[0]

    assert [line for line in block.splitlines() if line.strip() and "#" not in line] == []
