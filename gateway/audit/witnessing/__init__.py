"""Witnesses: another organisation's process that sees each checkpoint, and will cosign no two that contradict."""
