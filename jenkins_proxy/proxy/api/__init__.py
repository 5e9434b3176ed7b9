"""The daemon's HTTP API: Docker Flow: Proxy's calls, the daemon's own, and the page."""
