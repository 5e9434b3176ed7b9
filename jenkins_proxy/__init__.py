"""jenkins-proxy: a deploy is finished when users reach the new instances through the proxy, and not before.

Nothing is imported here: ``python -m jenkins_proxy --version`` must cost little more than starting Python.
"""

__version__ = "1.0.0"
