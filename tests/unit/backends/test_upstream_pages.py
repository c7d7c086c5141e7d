import pytest

from service.backends.twilio.pages import IDENTITIES, cursor, groups, query


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, None),
        ("", None),
        ("https://notify.example/v1/Services/IS1/Bindings?PageSize=1&PageToken=a%2Fb", "PageSize=1&PageToken=a%2Fb"),
        ("https://evil.test/elsewhere?Page=1", "Page=1"),
        ("https://evil.test/elsewhere", None),
    ],
)
def test_of_a_next_page_only_the_query_counts(url: str | None, expected: str | None) -> None:
    """An answer does not decide where credentials go."""
    assert cursor(url) == expected


def test_groups_are_bounded_by_number_and_by_length() -> None:
    """Each identity once, in order, and none left out, however long it is."""
    many = [f"user {n}" for n in range(100)]
    assert [len(group) for group in groups(many)] == [IDENTITIES, IDENTITIES, 20]
    assert [identity for group in groups([*many, *many]) for identity in group] == many
    assert [len(group) for group in groups(["é" * 256] * 2 + ["ü" * 256, "ö" * 256])] == [2, 1]
    assert list(groups([])) == []


def test_a_query_holds_any_text() -> None:
    """Reserved characters, spaces and other scripts come through."""
    assert query([("Identity", "a b&c=d/é+")]) == "Identity=a%20b%26c%3Dd%2F%C3%A9%2B"
