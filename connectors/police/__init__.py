"""Police forces: our own JSON interface, in the POLE vocabulary."""
