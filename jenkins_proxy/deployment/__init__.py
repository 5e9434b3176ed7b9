"""The commands: deploy, scale, reconfigure, rollback, status. Nothing here knows HAProxy."""
