"""Misuse by insiders: what a rule sees of each look-up, what would explain it, and what is left for a reviewer."""
