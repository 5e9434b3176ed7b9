"""The steps that the commands are made of, from the lock to the drain."""
