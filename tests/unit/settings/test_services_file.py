from pathlib import Path

import pytest

from service.settings import Settings, SettingsError, load
from tests.unit.settings.test_loading import LEAST

ONE, TWO, THREE = ("IS" + digit * 32 for digit in "123")


def load_file(tmp_path: Path, toml: str, **more: str) -> Settings:
    path = tmp_path / "services.toml"
    path.write_text(toml, encoding="utf-8")
    environ = {name: value for name, value in LEAST.items() if name != "BINDERY_SERVICE_SID"}
    return load({**environ, "BINDERY_SERVICES_FILE": str(path), **more})


def test_the_first_service_of_the_file_is_the_default(tmp_path: Path) -> None:
    """The file's order counts; what a table leaves out comes from the environment."""
    settings = load_file(
        tmp_path,
        f"""
        [[service]]
        name = "shop"
        sid = "{ONE}"
        chat_sid = "{THREE}"
        cap_policy = "replace-oldest"
        protocol_versions = {{ apn = "4", sms = "1" }}
        jwt_issuer = "https://login.shop"
        app_tags = ["city-*"]

        [[service]]
        name = "news"
        sid = "{TWO}"
        """,
        BINDERY_JWT_ISSUER="https://login",
        BINDERY_APP_TAGS="a,b-*",
    )
    shop, news = settings.services
    assert (shop.name, shop.sid, shop.chat_sid, shop.cap_policy) == ("shop", ONE, THREE, "replace-oldest")
    assert (shop.protocol_versions["apn"], shop.protocol_versions["fcm"]) == ("4", "3")
    assert shop.protocol_versions["sms"] == "1"
    assert (shop.jwt_issuer, shop.app_tags) == ("https://login.shop", ("city-*",))
    assert (news.chat_sid, news.cap_policy, news.jwt_issuer) == (TWO, "reject", "https://login")
    assert news.app_tags == ("a", "b-*")


@pytest.mark.parametrize(
    ("toml", "fault"),
    [
        ("", "must have at least one"),
        ("service = 3", "must have at least one"),
        ("not toml", "must be TOML"),
        (f'[[service]]\nname="a"\nsid="{ONE}"\ncolour="red"', "service 1: colour is unknown"),
        (f'[[servce]]\nname="a"\nsid="{ONE}"', "servce is unknown"),
        ('[[service]]\nname="a"', "service 1: sid must be set"),
        (f'[[service]]\nsid="{ONE}"', "service 1: name must be set"),
        (f'[[service]]\nname="{TWO}"\nsid="{ONE}"', "service 1: name must not look like a SID"),
        (f'[[service]]\nname="a b"\nsid="{ONE}"', "service 1: name must be 1 to 64"),
        ('[[service]]\nname="a"\nsid="IS1"', "service 1: sid must be IS"),
        (f'[[service]]\nname="a"\nsid="{ONE}"\ncap_policy=3', "cap_policy must be one of"),
        (f'[[service]]\nname="a"\nsid="{ONE}"\napp_tags="x"', "app_tags must be a list"),
        (f'[[service]]\nname="a"\nsid="{ONE}"\nprotocol_versions={{mqtt="1"}}', "mqtt is unknown"),
        (f'[[service]]\nname="a"\nsid="{ONE}"\nprotocol_versions={{apn=3}}', "apn must be text"),
        (
            f'[[service]]\nname="a"\nsid="{ONE}"\n[[service]]\nname="a"\nsid="{TWO}"',
            "service 2: name must be its own",
        ),
        (
            f'[[service]]\nname="a"\nsid="{ONE}"\n[[service]]\nname="b"\nsid="{ONE}"',
            "service 2: sid must be its own",
        ),
        (
            f'[[service]]\nname="a"\nsid="{ONE}"\n[[service]]\nname="b"\nsid="{TWO}"\nchat_sid="{ONE}"',
            "service 2: chat_sid must be its own",
        ),
    ],
)
def test_a_fault_in_the_file_is_named_with_its_place(tmp_path: Path, toml: str, fault: str) -> None:
    """Unknown keys, wrong types and repeated SIDs or names are refused by name."""
    with pytest.raises(SettingsError, match=fault):
        load_file(tmp_path, toml)


def test_a_file_that_is_not_there_is_one_fault(tmp_path: Path) -> None:
    """The start ends with a line, not with a traceback."""
    with pytest.raises(SettingsError, match="BINDERY_SERVICES_FILE must be a readable file"):
        load({**LEAST, "BINDERY_SERVICE_SID": "", "BINDERY_SERVICES_FILE": str(tmp_path / "none.toml")})


def test_a_file_and_a_service_sid_contradict_each_other(tmp_path: Path) -> None:
    """No setting is silently ignored."""
    with pytest.raises(SettingsError, match="BINDERY_SERVICE_SID must not be set beside"):
        load_file(tmp_path, f'[[service]]\nname="a"\nsid="{ONE}"', BINDERY_SERVICE_SID=TWO)
