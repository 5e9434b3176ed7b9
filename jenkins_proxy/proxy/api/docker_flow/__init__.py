"""Docker Flow: Proxy's own API: its calls, their parameters, and the services that its environment declares."""
