"""Runs lookups: plan, fan-out, merge, door, audit, HTTP."""
