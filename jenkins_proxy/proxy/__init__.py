"""The proxy: the daemon that owns HAProxy's configuration, and the client that flow/ uses."""
