"""What a newcomer reads when everything runs: ready to copy, in order."""

from service.settings import Settings

_ADDRESS = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"

_TEXT = """\
Bindery serves at {url}  (Ctrl-C stops it)

  Account SID   {account_sid}
  Auth Token    {auth_token}
  Service SID   {service_sid}

Register a token:

  curl -sS -u {account_sid}:{auth_token} {url}/v1/registrations \\
    -H 'Content-Type: application/json' -H 'Prefer: wait=2' \\
    -d '{{"identity": "alice", "device_id": "alices-phone", "binding_type": "apn", "address": "{address}"}}'

Look it up:

  curl -sS -u {account_sid}:{auth_token} {url}/v1/identities/alice/bindings

Log it out:

  curl -sS -u {account_sid}:{auth_token} {url}/v1/logouts \\
    -H 'Content-Type: application/json' -d '{{"identity": "alice", "device_id": "alices-phone"}}'

The same from Python, with the Twilio SDK (pip install twilio):

from twilio.rest import Client
c = Client("{account_sid}", "{auth_token}"); c.notify.base_url = "{url}"
bindings = c.notify.v1.services("{service_sid}").bindings
print(bindings.create(identity="alice", binding_type="apn", address="{address}").sid)
print([(b.identity, b.binding_type, b.address) for b in bindings.list()])
"""


def text(settings: Settings, url: str) -> str:
    """The welcome, for an API at `url`."""
    return _TEXT.format(
        url=url,
        account_sid=settings.account_sid,
        auth_token=settings.auth_token,
        service_sid=settings.services[0].sid,
        address=_ADDRESS,
    )
