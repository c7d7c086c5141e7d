"""Bindery: a self-hosted device-registration service."""

__version__ = "0.1.0"
