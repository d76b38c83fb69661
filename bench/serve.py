"""Writes the bench's configuration and serves it: everything on, as shipped, but for what the rig needs.

The bench's own are `[limits]` (budgets), the connectors' addresses and the agreement with `northshire`.
usage: serve.py PORT   (UPSTREAM and JWKS from the environment)
"""

from __future__ import annotations

import json
import os
import site
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
AGENCIES = {
    "police": "POLICE",
    "probation": "PROBATION",
    "health": "HEALTH",
    "childrens": "CHILDRENS_SERVICES",
}
_NOBODY = "http://127.0.0.1:9"  # discard: nobody listens
_UNLIMITED = "{ minute = 100000000, hour = 100000000, day = 100000000 }"


def write(
    folder: Path, port: int, upstream: str, jwks: str, *, batches: bool, driver: str = "bench", dead: str | None = None
) -> Path:
    """Return the configuration file written under `folder`."""
    agreements = folder / "agreements"
    agreements.mkdir()
    (agreements / "organisations.toml").write_text(
        '[[organisation]]\nid = "northshire"\nname = "Northshire"\nkind = "CHILDRENS_SERVICES"\n'
    )
    (agreements / "lawful-bases.toml").write_text(
        '[[basis]]\npurpose = "CP_S47"\ngateway = "Children Act 1989 s.47"\nregime = "UK_GDPR"\n'
        'recipient_regime = "UK_GDPR"\ncommenced = 1991-10-14\n'
    )
    for kind in AGENCIES.values():
        (agreements / f"{kind.lower()}.toml").write_text(
            f'id = "{kind.lower()}"\ntitle = "bench"\ncustodian = "kind:{kind}"\ncontroller = "bench"\n'
            'owner = "bench"\napprover = "bench"\napproved_on = 2026-01-01\nreview_on = 2099-01-01\n[[grant]]\n'
            'to = ["CHILDRENS_SERVICES"]\nroles = ["social_worker"]\npurposes = ["CP_S47"]\nrelationship = "NONE"\n'
            'assurance = "STANDARD"\nopens = ["involvements", "involvements.practitioner", "involvements.previous"]\n'
        )
    lines = [
        f"[server]\nport = {port}",
        '[resource]\nidentifier = "https://gateway.bench.example/graphql"',
        f'[[issuers]]\nissuer = "https://idp.bench.example"\njwks_file = {json.dumps(jwks)}',
        f'[database]\nurl = "sqlite:///{folder}/contactpoint.db"',
        '[agreements]\ndirectory = "agreements"',
        "[limits]",
        *(
            f"{who}_{what} = {_UNLIMITED}"
            for who in ("person", "client", "organisation")
            for what in ("lookups", "misses")
        ),
    ]
    for agency, kind in AGENCIES.items():
        where = _NOBODY if agency == dead else upstream
        lines.append(
            f'[[connectors]]\nid = "{agency}"\nname = "{agency}"\nkind = "{kind}"\ndriver = "{driver}"\n'
            f'base_url = {json.dumps(where)}\nagency = "{agency}"\nbatches = {str(batches).lower()}'
        )
    file = folder / "gateway.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def main() -> None:
    """Serve until stopped."""
    batches = os.environ.get("BATCHES", "") == "yes"
    # of another interpreter than this environment's: see bench/python. Before that one's own.
    libraries = [each for each in os.environ.get("BENCH_LIBRARIES", "").split(os.pathsep) if each]
    sys.path[:0] = libraries
    for each in libraries:
        site.addsitedir(each)
    # the driver is found through its entry point, which lies beside this file
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    from gateway.__main__ import main as contactpoint  # noqa: PLC0415 - after the path

    with tempfile.TemporaryDirectory(prefix="contactpoint-bench-") as folder:
        file = write(
            Path(folder),
            int(sys.argv[1]),
            os.environ["UPSTREAM"],
            os.environ["JWKS"],
            batches=batches,
            dead=os.environ.get("DEAD"),
        )
        contactpoint(["serve", "--config", str(file)], prog_name="contactpoint")


if __name__ == "__main__":
    main()
