"""Switches that a program sets, or else the environment."""

from __future__ import annotations

import os

_FALSE = {"", "0", "false", "no", "off"}


class Switch:
    """On or off as the program says, and as an environment variable does until then."""

    def __init__(self, variable: str) -> None:
        self._variable = variable
        self._forced: bool | None = None

    def __bool__(self) -> bool:
        if self._forced is not None:
            return self._forced
        return os.environ.get(self._variable, "").strip().lower() not in _FALSE

    def set(self, enabled: bool | None, env_var: str | None) -> None:
        """Sets it; ``None`` leaves it to the environment, from now on to the variable ``env_var``."""
        if enabled is not None and not isinstance(enabled, bool):
            raise TypeError(f"enabled must be True, False or None, not {enabled!r}")
        if env_var is not None:
            if not isinstance(env_var, str):
                raise TypeError(
                    f"env_var must be the name of an environment variable, not {env_var!r}"
                )
            self._variable = env_var
        self._forced = enabled
