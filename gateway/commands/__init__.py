"""The commands of `contactpoint`, one module each."""
