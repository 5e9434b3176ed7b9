"""The proxy daemon that owns HAProxy and its configuration."""
