"""Lists: what a request asks for, and the page that answers it, with its way on and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from service.api import urls
from service.api.compatible import parameters
from service.api.compatible.forms import CompatibleRequest
from service.api.compatible.page_tokens import ListName, PageTokens, page_tokens
from service.api.compatible.resources import (
    BindingList,
    ChatBindingResource,
    ConversationsBindingResource,
    Meta,
    NotifyBindingResource,
    UserBindingResource,
)
from service.api.forms import Fields
from service.domain import limits
from service.domain.errors import InvalidInput
from service.settings import Settings
from service.usecases.paging import Page, Position

B = TypeVar("B")
R = TypeVar("R", NotifyBindingResource, ChatBindingResource, UserBindingResource, ConversationsBindingResource)

DEFAULT_PAGE_SIZE = 50


class Listing(msgspec.Struct, frozen=True):
    """One request for a page of a list."""

    name: ListName
    size: int
    number: int
    token: str | None
    start: Position
    tokens: PageTokens

    def answer(self, page: Page[B], url: str, show: Callable[[B], R]) -> BindingList:
        """The page; ``url`` is the list's, without a query."""
        previous = self._url(url, max(self.number - 1, 0), page.previous) if page.previous else None
        following = self._url(url, min(self.number + 1, parameters.LAST_PAGE), page.next) if page.next else None
        meta = Meta(
            page=self.number,
            page_size=self.size,
            first_page_url=self._url(url, 0, None),
            previous_page_url=previous,
            url=self._url(url, self.number, self.start if self.token else None),
            next_page_url=following,
        )
        return BindingList(meta, [show(binding) for binding in page.items])

    def _url(self, url: str, number: int, position: Position | None) -> str:
        pairs = [*self.name.filters, ("PageSize", str(self.size)), ("Page", str(number))]
        if position is not None:
            pairs.append(("PageToken", self.tokens.make(self.name, position)))
        return f"{url}?{urls.query(pairs)}"


def listing(
    request: CompatibleRequest,
    fields: Fields,
    *,
    kind: str,
    service_sid: str,
    user: str = "",
    filters: tuple[str, ...],
    most: int,
) -> Listing:
    """What a list is asked for: ``filters`` names the parameters that narrow it, ``most`` is its longest page.

    Raises:
        InvalidInput: a PageSize or Page that is not a number, or too many filters.
        BadPageToken
    """
    settings: Settings = request.app.state.settings
    given = tuple((name, value) for name in filters for value in fields.get(name, ()))
    if len(given) > limits.LIST_FILTERS:
        raise InvalidInput("", f"The request must not have more than {limits.LIST_FILTERS} filters")
    name = ListName(kind, service_sid, user, given)
    size = parameters.page_size(fields, DEFAULT_PAGE_SIZE, most)
    number = parameters.page_number(fields)
    token = parameters.last(fields, "PageToken")
    tokens = page_tokens(settings.secret_key)
    start = Position() if token is None else tokens.read(name, token)
    return Listing(name, size, number, token, start, tokens)
