"""The gateway's own side of HTTP: connections, heads, who is let in, and the routes beside GraphQL."""
