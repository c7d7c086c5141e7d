"""Django's settings: the least that the peer needs, on PostgreSQL or, where there is none, on SQLite."""

import os

SECRET_KEY = os.environ["PEER_JWT_SECRET"]
JWT_SECRET = os.environ["PEER_JWT_SECRET"]
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.benchmarks.peers.django_push.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "push_notifications"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
LOGGING_CONFIG = None
PUSH_NOTIFICATIONS_SETTINGS = {"UPDATE_ON_DUPLICATE_REG_ID": True}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tests.benchmarks.peers.django_push.tokens.TokenAuthentication"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
_POSTGRES = os.environ.get("PEER_POSTGRES")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "peer",
        "HOST": _POSTGRES,
        "CONN_MAX_AGE": None,
    }
    if _POSTGRES
    else {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["PEER_SQLITE"],
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }
}
