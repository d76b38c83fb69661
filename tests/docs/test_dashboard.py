"""The dashboard and the alerts ask for what the gateway shows, in PromQL that parses; and they leave nothing out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from gateway.front import operations
from tests.docs.markdown import codes, rows, text_of
from tests.docs.promql import asked_for, faults, labels_kept, shown, with_variables
from tests.docs.words_of_metrics import WORDS

DASHBOARD: dict[str, Any] = json.loads(text_of("docker/grafana/contactpoint.json"))
ALERTS: dict[str, Any] = yaml.safe_load(text_of("docker/prometheus/alerts.yaml"))
SCRAPED: dict[str, Any] = yaml.safe_load(text_of("docker/prometheus/prometheus.yaml"))
COMPOSE: dict[str, Any] = yaml.safe_load(text_of("docker/compose.yaml"))
DOCUMENT = text_of("docs/metrics.md")

PANELS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES: Final = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def panel_expressions() -> Iterator[tuple[str, str]]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


@pytest.mark.parametrize("expression", [pytest.param(e, id=name) for name, e in panel_expressions()])
def test_a_panel_asks_for_what_the_gateway_shows(expression: str) -> None:
    assert faults(expression, WORDS) == []


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in RULES])
def test_an_alert_asks_for_what_the_gateway_shows(rule: dict[str, Any]) -> None:
    assert faults(rule["expr"], WORDS) == []
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert re.fullmatch(r"[0-9]+[smh]", rule.get("for", "0s"))


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("sum(rate(contactpoint_lookups_total[5m])", "does not parse: unclosed left parenthesis"),
        ("contactpoint_lookup_total", "contactpoint_lookup_total is shown by nobody"),
        ("rate(contactpoint_lookups[5m])", "contactpoint_lookups is shown by nobody"),
        ("contactpoint_lookups_total > 5", "contactpoint_lookups_total only grows: its rate tells something"),
        ("rate(contactpoint_workers[5m])", "contactpoint_workers is no counter and has no rate"),
        ('contactpoint_source_circuit{agency="x"}', "contactpoint_source_circuit has no label agency"),
        (
            'rate(contactpoint_requests_total{code=~"OVERLOADED|AUDIT_GONE"}[5m])',
            "contactpoint_requests_total: code is never AUDIT_GONE",
        ),
        ("sum by (area) (contactpoint_source_circuit)", "groups by area, which nothing in it has"),
    ],
)
def test_an_expression_that_says_nothing_would_be_found(expression: str, fault: str) -> None:
    assert faults(expression, WORDS) == [fault]


def test_every_label_but_that_of_a_source_has_a_closed_list_of_words() -> None:
    labels = {(series.metric, label) for series in shown().values() for label in series.labels - {"le"}}

    assert {(metric, label) for metric, label in labels if label != "source"} == WORDS.keys()


def test_every_metric_is_on_the_dashboard_or_listed_as_not_shown() -> None:
    asked = set().union(*(asked_for(expression) for _, expression in panel_expressions()))
    (sentence,) = re.findall(r"^Not on the dashboard: (.*)\.$", DOCUMENT, re.MULTILINE)

    assert asked | set(codes(sentence)) == {series.metric for series in shown().values()}
    assert asked.isdisjoint(codes(sentence))


def test_every_panel_says_what_it_is_and_stands_in_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert taken.isdisjoint(cells), panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert all(panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS)
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert sorted(set(identifiers)) == sorted(identifiers)


def test_a_legend_names_labels_that_the_answer_has() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= labels_kept(target["expr"]), panel["title"]


def test_an_alert_names_labels_that_its_answer_has() -> None:
    for rule in RULES:
        named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        kept = labels_kept(rule["expr"])
        if not kept:
            kept = {"instance", "job"}.union(
                *(series.labels for series in shown().values() if series.metric in asked_for(rule["expr"]))
            )
        assert named <= kept, rule["alert"]


def test_the_variables_of_the_dashboard_are_asked_of_series_that_have_the_label() -> None:
    asked = {each["name"]: each["definition"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"}

    assert set(asked) == {"instance", "source"}
    for name, definition in asked.items():
        match = re.fullmatch(r"label_values\((\w+), (\w+)\)", definition)
        assert match
        series, label = match.groups()
        assert label == name
        assert label in shown()[series].labels | {"instance"}
    rest = [expression for _, expression in panel_expressions() if "$" in with_variables(expression)]
    assert rest == []


def test_the_alerts_are_those_of_the_document() -> None:
    table = DOCUMENT.partition("## The dashboard and the alerts")[2]
    told = [codes(cells[0])[0] for cells in rows(table) if codes(cells[0])]

    assert told == [rule["alert"] for rule in RULES]


def test_what_must_wake_somebody_does() -> None:
    pages = {rule["alert"]: rule["expr"] for rule in RULES if rule["labels"]["severity"] == "page"}

    asked = set().union(*(asked_for(expression) for expression in pages.values()))
    assert asked == {
        "contactpoint_audit_log_ready",
        "contactpoint_audit_witness_lag_seconds",
        "contactpoint_source_circuit",
        "contactpoint_source_answers",
        "contactpoint_requests",
    }
    assert pages["ContactPointWitnessLag"].rpartition("> ")[2] == "300"


def mounts(service: str) -> dict[str, str]:
    """Return where in a container each file of the repository stands."""
    found = {}
    for mount in COMPOSE["services"][service]["volumes"]:
        source, target, mode = mount.split(":")
        assert mode == "ro"
        found[target] = source
    return found


def test_prometheus_scrapes_the_gateway_of_the_compose_file_and_reads_the_alerts() -> None:
    (job,) = SCRAPED["scrape_configs"]
    host, port = job["static_configs"][0]["targets"][0].split(":")
    there = mounts("prometheus")

    assert host in COMPOSE["services"]
    assert port == "8000"
    assert job["metrics_path"] in operations.COUNTED_AS
    assert f'"{job["job_name"]}"' in RULES[0]["expr"]
    assert [there[file] for file in SCRAPED["rule_files"]] == ["./prometheus/alerts.yaml"]
    assert there["/etc/prometheus/prometheus.yml"] == "./prometheus/prometheus.yaml"


def test_grafana_finds_its_source_and_the_dashboard() -> None:
    source = yaml.safe_load(text_of("docker/grafana/provisioning/datasources/prometheus.yaml"))["datasources"][0]
    provider = yaml.safe_load(text_of("docker/grafana/provisioning/dashboards/contactpoint.yaml"))["providers"][0]
    there = mounts("grafana")

    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in COMPOSE["services"]
    assert there["/etc/grafana/provisioning"] == "./grafana/provisioning"
    assert there[f"{provider['options']['path']}/contactpoint.json"] == "./grafana/contactpoint.json"


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_the_dashboard_is_behind_a_profile_on_this_machine_alone_and_without_privileges(name: str) -> None:
    service = COMPOSE["services"][name]

    assert service["profiles"] == ["dashboard"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert re.fullmatch(r"[a-z/]+:v?[0-9.]+", service["image"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
