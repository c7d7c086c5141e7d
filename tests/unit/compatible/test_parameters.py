"""The rule of each parameter."""

from datetime import date

import pytest

from service.api.compatible import parameters
from service.domain.addresses import BindingType
from service.domain.errors import InvalidInput


def test_the_last_of_several_wins() -> None:
    """A parameter that has one value, given twice, has the last."""
    assert parameters.required({"Identity": ["a", "b"]}, "Identity", 10) == "b"


@pytest.mark.parametrize("fields", [{}, {"Identity": [""]}, {"Identity": ["a", ""]}])
def test_empty_counts_as_missing(fields: dict[str, list[str]]) -> None:
    """A required parameter that is missing or empty is named."""
    with pytest.raises(InvalidInput, match=r"^Identity: is required"):
        parameters.required(fields, "Identity", 10)


def test_lengths_are_exact() -> None:
    """The longest value passes, one character more does not."""
    assert parameters.optional({"A": ["x" * 10]}, "A", 10) == "x" * 10
    with pytest.raises(InvalidInput, match=r"^A: "):
        parameters.optional({"A": ["x" * 11]}, "A", 10)


@pytest.mark.parametrize("values", [["a"] * 4, [""], ["abcd"]])
def test_many_are_counted_and_measured(values: list[str]) -> None:
    """Lists refuse too many values, empty ones and long ones."""
    with pytest.raises(InvalidInput, match=r"^Tag: "):
        parameters.many({"Tag": values}, "Tag", 3, 3)


@pytest.mark.parametrize("value", ["apn", "fcm", "gcm", "sms", "facebook-messenger", "alexa"])
def test_every_binding_type_is_known(value: str) -> None:
    """Notify knows six binding types."""
    assert parameters.binding_type({"BindingType": [value]}) is BindingType(value)


@pytest.mark.parametrize("value", ["APN", "web", "twilsock", " apn"])
def test_unknown_binding_types_are_refused(value: str) -> None:
    """Anything else is refused, case and spaces included."""
    with pytest.raises(InvalidInput, match=r"^BindingType: "):
        parameters.binding_type({"BindingType": [value]})
    with pytest.raises(InvalidInput, match=r"^BindingType: "):
        parameters.binding_types({"BindingType": ["apn", value]}, ("apn",))


@pytest.mark.parametrize("value", ["CR", "CR" + "g" * 32, "IS" + "a" * 32, "CR" + "a" * 33, "CR" + "a" * 32 + "\n"])
def test_a_malformed_credential_sid_is_refused(value: str) -> None:
    """A CredentialSid is CR and 32 hex digits, and nothing else."""
    with pytest.raises(InvalidInput, match=r"^CredentialSid: "):
        parameters.credential_sid({"CredentialSid": [value]})


def test_dates_are_plain_days() -> None:
    """A date is YYYY-MM-DD."""
    assert parameters.day({"StartDate": ["2015-07-30"]}, "StartDate") == date(2015, 7, 30)
    assert parameters.day({}, "StartDate") is None


@pytest.mark.parametrize(
    "value",
    ["", "20150730", "2015-W31-4", "2015-02-30", "2015-7-3", "2015-07-30T00:00:00Z", "٢٠١٥-٠٧-٣٠", "0000-01-01"],
)
def test_other_dates_are_refused(value: str) -> None:
    """Other forms of a date, and days that never were, are refused."""
    with pytest.raises(InvalidInput, match=r"^StartDate: "):
        parameters.day({"StartDate": [value]}, "StartDate")


@pytest.mark.parametrize(
    ("value", "size"), [("1", 1), ("50", 50), ("0050", 50), ("51", 50), ("1000", 50), ("9" * 5000, 50)]
)
def test_a_page_size_above_the_maximum_is_clamped(value: str, size: int) -> None:
    """More than the maximum is the maximum, however much more."""
    assert parameters.page_size({"PageSize": [value]}, 20, 50) == size


@pytest.mark.parametrize("value", ["0", "000", "-1", "", "x", "1.5", "+5", " 5", "٥", "1e3"])
def test_a_page_size_below_one_is_refused(value: str) -> None:
    """Below 1, or not a number, is refused."""
    with pytest.raises(InvalidInput, match=r"^PageSize: "):
        parameters.page_size({"PageSize": [value]}, 50, 50)


def test_a_page_counts_from_zero() -> None:
    """Page is a whole number from 0, which is the default."""
    assert [parameters.page_number(f) for f in ({}, {"Page": ["0"]}, {"Page": ["7"]})] == [0, 0, 7]


@pytest.mark.parametrize("value", ["-1", "", "x", "1.5", "9" * 10, "9" * 5000])
def test_a_malformed_page_is_refused(value: str) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidInput, match=r"^Page: "):
        parameters.page_number({"Page": [value]})
