"""A route's fields: what each is called by every way in, what it may hold, and what it means."""
