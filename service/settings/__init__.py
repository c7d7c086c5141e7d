"""Settings: `BINDERY_*` environment variables and an optional TOML file of Services."""

from service.settings.faults import SettingsError
from service.settings.loading import load
from service.settings.model import Settings
from service.settings.services import ApiKey, CapPolicy, ServiceConfig

__all__ = ["ApiKey", "CapPolicy", "ServiceConfig", "Settings", "SettingsError", "load"]
