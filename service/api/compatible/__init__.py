"""The routes that the vendor's SDKs speak: Notify v1, Chat v2 and Conversations v1 Bindings, Chat v2 User Bindings."""

from litestar import Router

from service.api.auth import server_authenticated
from service.api.compatible import by_host, chat, chat_users, conversations, notify

_EITHER = [by_host.create, by_host.fetch, by_host.list_, by_host.delete_]
_NOTIFY = [notify.create, notify.fetch, notify.list_, notify.delete_]
_CHAT = [chat.fetch, chat.list_, chat.delete_, chat_users.read, chat_users.delete_]
_CONVERSATIONS = [conversations.fetch, conversations.list_, conversations.delete_]

routers = [
    Router(path, route_handlers=handlers, guards=[server_authenticated], include_in_schema=False)
    for path, handlers in (
        ("/", [*_EITHER, *_CHAT]),
        ("/notify", _NOTIFY),
        ("/chat", _CHAT),
        (conversations.PREFIX, _CONVERSATIONS),
    )
]
"""At the root, and under the prefixes by which one host serves several of the vendor's products."""

__all__ = ["routers"]
