"""Asks the sources and joins what they answer: breaker, bulkhead, batches, stale answers, corroboration and merge."""
