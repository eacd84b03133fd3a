"""Sendwright: notification infrastructure that a backend team runs itself."""

__version__ = "0.1.0"
