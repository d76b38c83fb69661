"""The database, SQLite or PostgreSQL: one engine, what its connections must promise, tables that are not the log."""
