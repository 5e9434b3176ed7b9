"""Which regular expressions may cost HAProxy too much: a backtracking matcher tries every way to match a path."""

from jenkins_proxy.regular_expressions.cost import cost
from jenkins_proxy.regular_expressions.dialects import compiled, for_python
from jenkins_proxy.regular_expressions.graph import LONGEST

__all__ = ["LONGEST", "compiled", "cost", "for_python"]
