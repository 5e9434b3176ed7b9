"""HAProxy itself: rendering its configuration, planning changes, its Runtime API, its supervised process."""
