"""The log in the formats of others. The canonical record is ours: each format is a view of it."""
