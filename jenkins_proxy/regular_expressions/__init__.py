"""Which regular expressions may cost HAProxy too much: a backtracking matcher tries every way to match a path."""

from jenkins_proxy.regular_expressions.cost import LONGEST, cost

__all__ = ["LONGEST", "cost"]
