"""A machine on which systemd runs the daemon: what ``setup`` writes there, and takes away again."""
