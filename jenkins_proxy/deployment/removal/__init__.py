"""What there is of a service that is to go, and what of it goes."""
