"""The flow: lock, preflight, bring up, wait, reconfigure, probe, drain, retire, roll back. It never knows HAProxy."""
