"""Registers a device, waits until that is applied, looks it up, and takes it away again; the last line says how it went.

Uses the identity of nobody and an address that no push service has given out. The environment has SMOKE_URL,
SMOKE_ACCOUNT and SMOKE_TOKEN.
"""

import base64
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request

URL = os.environ["SMOKE_URL"].rstrip("/")
LOGIN = base64.b64encode(f"{os.environ['SMOKE_ACCOUNT']}:{os.environ['SMOKE_TOKEN']}".encode()).decode()
CALL_SECONDS, READY_SECONDS, WAIT_SECONDS = 15, 60, 10


def call(method, path, body=None, **headers):
    """One request with the account's login; answers the status and the document."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Basic {LOGIN}", "Content-Type": "application/json", **headers}
    request = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=CALL_SECONDS) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def ready():
    """Wait until the API is ready; a Service's name may take a while to be known."""
    end, said = time.monotonic() + READY_SECONDS, "nothing"
    while time.monotonic() < end:
        try:
            status, said = call("GET", "/readyz")
            if status == 200:
                return
        except OSError as error:
            said = error
        time.sleep(0.2)
    sys.exit(f"FAILED: not ready within {READY_SECONDS} s; it said {said}")


def expect(what, answer, *statuses):
    """The document of an answer that has one of these statuses; any other is the end."""
    status, document = answer
    if status not in statuses:
        sys.exit(f"FAILED: {what} was answered {status}: {document}")
    print(f"ok: {what}", flush=True)
    return document


def main():
    """The whole of it."""
    ready()
    identity, address = f"smoke-test-{secrets.token_hex(8)}", secrets.token_hex(32)
    wanted = {"identity": identity, "binding_type": "apn", "address": address, "device_id": identity}
    made = call("POST", "/v1/registrations", wanted, Prefer=f"wait={WAIT_SECONDS}")
    expect("a registration that a worker has applied", made, 200, 201)
    found = expect("its lookup", call("GET", f"/v1/identities/{identity}/bindings"), 200)
    if [binding["address"] for binding in found["bindings"]] != [address]:
        sys.exit("FAILED: the lookup did not show what was registered")
    expect("its logout", call("POST", "/v1/logouts", {"identity": identity}), 200, 202)
    left = expect("the lookup after that", call("GET", f"/v1/identities/{identity}/bindings"), 200)
    if left["bindings"]:
        sys.exit("FAILED: a lookup showed what had been logged out")
    print("PASSED", flush=True)


if __name__ == "__main__":
    main()
