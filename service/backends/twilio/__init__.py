"""A Twilio-compatible upstream that holds bindings in our place: its three Binding APIs, and manners towards it."""

from service.backends.twilio.account import Account, Attempt
from service.backends.twilio.admission import Admission, Health
from service.backends.twilio.bindings import ChatBinding, NotifyBinding
from service.backends.twilio.chat import ChatBindings
from service.backends.twilio.errors import NotDone, NotItsTurn, NotTheApi, OutcomeUnknown, Refused, UpstreamError
from service.backends.twilio.notify import NotifyBindings
from service.backends.twilio.pages import Page
from service.backends.twilio.resource import Unlisted

__all__ = [
    "Account",
    "Admission",
    "Attempt",
    "ChatBinding",
    "ChatBindings",
    "Health",
    "NotDone",
    "NotItsTurn",
    "NotTheApi",
    "NotifyBinding",
    "NotifyBindings",
    "OutcomeUnknown",
    "Page",
    "Refused",
    "Unlisted",
    "UpstreamError",
]
