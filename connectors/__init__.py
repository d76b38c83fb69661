"""Speaks to sources: the agencies that hold the facts. Imports the shared words only."""
