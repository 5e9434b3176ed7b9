"""The embedded registry: an in-process server that speaks Consul's HTTP API."""
