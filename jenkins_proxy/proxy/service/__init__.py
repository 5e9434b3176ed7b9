"""The service behind the API: what callers ask for is admitted, stored, and served when they get their answer."""
