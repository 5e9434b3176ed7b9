"""Metrics, and the counters that HAProxy keeps."""
