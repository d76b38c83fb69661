"""From a `[[connectors]]` entry to a connector: built-in drivers and entry points, through the same door.

A driver is a callable that takes the entry and returns a Connector. Others add theirs with an entry point:

    [project.entry-points."contactpoint.connectors"]
    housing = "northshire_housing.connector:from_settings"
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from connectors.base import Connector
from connectors.settings import ConnectorMisconfigured

GROUP = "contactpoint.connectors"

# Entry points like anybody's: loaded when first used, so that a broken driver breaks only its own entries.
BUILT_IN: Mapping[str, EntryPoint] = MappingProxyType(
    {
        name: EntryPoint(name, target, GROUP)
        for name, target in {
            "police": "connectors.police.client:from_settings",
            "probation": "connectors.probation.client:from_settings",
            "health": "connectors.health.client:from_settings",
            "childrens_services": "connectors.childrens_services.client:from_settings",
            "memory": "connectors.memory:from_settings",
        }.items()
    }
)


class DriverUnknown(ConnectorMisconfigured):
    """`driver` names neither a built-in driver nor an installed one; `what` lists those there are."""


def drivers() -> Mapping[str, EntryPoint]:
    """Return every driver by name. A built-in name cannot be taken over by an installed package."""
    installed = {point.name: point for point in entry_points(group=GROUP)}
    return {**installed, **BUILT_IN}


def build(entry: Mapping[str, Any]) -> Connector:
    """Return the connector that `entry` describes.

    Raises ConnectorMisconfigured, naming keys and never values; DriverUnknown if there is no such driver.
    """
    name = entry.get("driver")
    if not isinstance(name, str):
        raise ConnectorMisconfigured("driver", "is missing" if name is None else "must be a driver's name")
    known = drivers()
    if name not in known:
        raise DriverUnknown("driver", f"is none of {', '.join(sorted(known))}")
    try:
        make = known[name].load()
    except (ImportError, AttributeError):
        raise ConnectorMisconfigured("driver", "is installed but cannot be loaded") from None
    connector: Connector = make(entry)
    return connector
