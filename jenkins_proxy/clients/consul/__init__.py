"""Consul's HTTP API: requests as data, and one driver each for synchronous and asynchronous callers."""
