"""The parts of `gateway.audit.verify`: reading, the tree, seals, shards, and what was found."""
