"""Takes out of an environment what no process of Bindery opens: `python prune.py /opt/bindery`."""

import shutil
import sys
from pathlib import Path


def main() -> None:
    """Remove translations, sources of compiled modules, maps for debuggers, and the editor of API documents."""
    [site] = Path(sys.argv[1]).glob("lib/python3.*/site-packages")
    # Litestar imports the generator of example values, of which it needs the default language.
    for folder in site.glob("faker/providers/*/*_*"):
        if folder.is_dir() and folder.name not in {"__pycache__", "en_US"}:
            shutil.rmtree(folder)
    for pattern in ("swagger_ui/static/*.map", "swagger_ui/static/*editor*", "swagger_ui/static/*es-bundle*"):
        for path in site.glob(pattern):
            path.unlink()
    for pattern in ("*.c", "*.h", "*.pyx", "*.pxd", "*.pyi"):
        for path in site.rglob(pattern):
            path.unlink()
    for path in site.rglob("tests"):
        shutil.rmtree(path)


if __name__ == "__main__":
    main()
