"""The routes that the vendor's SDKs speak: Notify v1 Bindings, Chat v2 Bindings and Chat v2 User Bindings."""

from litestar import Router

from service.api.auth import server_authenticated
from service.api.compatible import chat, chat_users, notify

_NOTIFY = [notify.create, notify.fetch, notify.list_, notify.delete_]
_CHAT = [chat.fetch, chat.list_, chat.delete_, chat_users.read, chat_users.delete_]

routers = [
    Router("/", route_handlers=[*_NOTIFY, *_CHAT], guards=[server_authenticated], include_in_schema=False),
    Router("/notify", route_handlers=_NOTIFY, guards=[server_authenticated], include_in_schema=False),
    Router("/chat", route_handlers=_CHAT, guards=[server_authenticated], include_in_schema=False),
]
"""At the root, and under the prefixes by which one host serves several of the vendor's products."""

__all__ = ["routers"]
