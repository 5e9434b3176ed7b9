"""The embedded registry's HTTP API: who may call, what all calls share, and the calls themselves."""
