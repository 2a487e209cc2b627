"""Timed subjects, each runnable with ``python -m benchmarks.SUBJECT``."""
