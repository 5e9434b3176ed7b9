"""How we speak to the registry, the engine and the proxy; no policy."""
