"""Errors in the vendor's form."""

import pytest

from service.api.compatible.errors import error_body, status_of
from service.domain import errors
from service.domain.errors import BinderyError

PATH = "/v1/Services/x"


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (errors.InvalidInput("Identity", "is required"), 400, 20001, "Identity: is required"),
        (errors.CapReached(), 400, 20001, errors.CapReached.title),
        (errors.BadPageToken(), 400, 21481, errors.BadPageToken.title),
        (errors.Unauthenticated("why"), 401, 20003, "Authenticate"),
        (errors.NotFound("There is no such Service"), 404, 20404, f"The requested resource {PATH} was not found"),
        (errors.MethodNotAllowed(), 405, 20004, errors.MethodNotAllowed.title),
        (errors.BodyTooLarge(), 413, 20001, errors.BodyTooLarge.title),
        (errors.UnsupportedMediaType(), 415, 20001, errors.UnsupportedMediaType.title),
        (errors.TooManyRequests(), 429, 20429, errors.TooManyRequests.title),
        (BinderyError(), 500, 20500, BinderyError.title),
        (errors.StoreUnavailable(), 503, 20503, errors.StoreUnavailable.title),
    ],
)
def test_each_error_has_the_vendors_form(error: BinderyError, status: int, code: int, message: str) -> None:
    """Each error has its status, code, message and page, and nothing else."""
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    assert error_body(error, PATH + "?Identity=i") == {
        "code": code, "message": message, "more_info": more_info, "status": status,
    }  # fmt: skip
    assert status_of(error) == status
