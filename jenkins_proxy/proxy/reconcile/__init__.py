"""The desired state, and the loop that brings HAProxy to it."""
