"""The log of every disclosure: what is written, in what form, and how anybody can check it."""
