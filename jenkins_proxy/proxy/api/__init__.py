"""The daemon's HTTP API: Docker Flow: Proxy's calls, our own, and the page."""
