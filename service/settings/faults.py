"""What is wrong with the settings: all of it at once, and never a value that could be secret."""


class SettingsError(Exception):
    """The settings cannot be used.

    `faults` holds one line each: the variable (or the place in the Services file), then the rule it breaks.
    """

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Faults:
    """Collects faults, so that one start names them all."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, where: str, rule: str) -> None:
        """Note that `where` breaks `rule`, which reads on from it: "must be …"."""
        self._lines.append(f"{where} {rule}")

    def named(self, where: str) -> bool:
        """Whether something is wrong with `where` already."""
        return any(line.startswith(f"{where} ") for line in self._lines)

    def raise_if_any(self) -> None:
        """End the loading.

        Raises:
            SettingsError: something was noted.
        """
        if self._lines:
            raise SettingsError(tuple(self._lines))
