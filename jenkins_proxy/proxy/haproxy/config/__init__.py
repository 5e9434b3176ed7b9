"""What HAProxy is told: routes and servers in, the text of its configuration and of its map files out. Pure."""
