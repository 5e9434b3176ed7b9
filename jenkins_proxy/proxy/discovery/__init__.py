"""What the registry and the name servers say, as it changes, and whether new instances answer."""
