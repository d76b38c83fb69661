"""Benchmarks: the project in the rig beside other gateways, and the parts of a lookup by name."""
