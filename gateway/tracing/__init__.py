"""Traces: what each step of a sampled request took, in spans of our own. Off unless configured, and then not there."""
