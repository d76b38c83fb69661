"""The GraphQL front door: bytes in, a measured and validated operation out, bytes back."""
