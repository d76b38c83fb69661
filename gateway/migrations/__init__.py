"""The schema, step by step. What a step imports is here, and is never changed once a step that uses it is released."""
