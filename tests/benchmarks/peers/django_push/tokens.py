"""The app's token, checked as Bindery checks it; its user is one query away, as with DRF's own tokens."""

from __future__ import annotations

from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed


class TokenAuthentication(BaseAuthentication):  # type: ignore[misc]  # Django has no types here
    """Bearer JWT, HS256."""

    def authenticate(self, request: Any) -> tuple[Any, None]:
        """The user whose name is the token's subject."""
        _, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            claims = jwt.decode(token, settings.JWT_SECRET, algorithms=["HS256"])
            return User.objects.get(username=claims["sub"]), None
        except (jwt.InvalidTokenError, User.DoesNotExist):
            raise AuthenticationFailed from None
