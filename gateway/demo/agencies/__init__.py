"""Simulated agencies: an outside world that speaks `docs/wire-interfaces.md` and shares no code with the connectors."""
