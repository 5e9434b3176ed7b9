"""The Docker Engine: where it is, and what is asked of it."""
