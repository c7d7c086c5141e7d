"""Settings: `BINDERY_*` environment variables and an optional TOML file of Services."""

from service.settings.faults import SettingsError
from service.settings.loading import load
from service.settings.model import Settings

__all__ = ["Settings", "SettingsError", "load"]
