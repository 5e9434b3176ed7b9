"""How containers come and go: one module a strategy, and the one place that selects it."""
