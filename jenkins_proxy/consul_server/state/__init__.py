"""The embedded registry's state: its tables, whoever waits for a change of them, and their file."""
