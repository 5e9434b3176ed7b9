"""HAProxy itself: its configuration, the Runtime API, and the process that is supervised."""
