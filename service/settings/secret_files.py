"""Variables given as files, one each, as container platforms hand over secrets."""

from collections.abc import Mapping

from service.settings import rules
from service.settings.faults import Faults

SECRETS_DIR = "BINDERY_SECRETS_DIR"
_LARGEST = 64 * 1024


def with_files(environ: Mapping[str, str], prefix: str, faults: Faults) -> dict[str, str]:
    """`environ`, completed by the files of the directory that it may name; what is wrong goes to `faults`.

    A file is named as its variable, begins with `prefix`, and ends its value with a line break or not.
    """
    if not environ.get(SECRETS_DIR):
        return dict(environ)
    try:
        files = [path for path in rules.path(environ[SECRETS_DIR]).iterdir() if path.name.startswith(prefix)]
    except ValueError:
        return dict(environ)  # it is named where the variable itself is read
    except OSError as error:
        faults.add(SECRETS_DIR, f"must be a readable directory ({type(error).__name__})")
        return dict(environ)
    found: dict[str, str] = {}
    for path in files:
        try:
            with path.open(encoding="utf-8", newline="") as file:
                value = file.read(_LARGEST + 3).removesuffix("\n").removesuffix("\r")
            if len(value) > _LARGEST:
                faults.add(f"{SECRETS_DIR}: {path.name}", f"must have at most {_LARGEST} characters")
            found[path.name] = value
        except (OSError, UnicodeDecodeError) as error:
            faults.add(f"{SECRETS_DIR}: {path.name}", f"must be a readable file in UTF-8 ({type(error).__name__})")
    # As everywhere, what is empty counts as not set.
    return {**found, **{name: value for name, value in environ.items() if value or name not in found}}
