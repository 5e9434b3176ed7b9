"""Compose v1 and v2: how they are called, and what the files of a project say before they are."""
