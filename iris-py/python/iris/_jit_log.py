"""Whether compilations are logged, and the log."""

from __future__ import annotations

import os

ENVIRONMENT = "IRIS_JIT_LOG"
_FALSE = {"", "0", "false", "no", "off"}

_forced: bool | None = None
_variable = ENVIRONMENT


def set_jit_logging(enabled: bool | None, env_var: str | None = None) -> bool:
    """Switches the log of compilations on or off; ``None`` leaves it to the environment.

    ``env_var`` names the environment variable to look at from now on, ``IRIS_JIT_LOG`` at first: any
    value but ``0``, ``false``, ``no``, ``off`` and nothing is on. Returns whether the log is on now.

    Each compilation then gives a record of the logger ``iris.jit``, level INFO, with the lines of
    ``explain()``. If nobody has set up ``logging``, the records go to stderr. Raises ``TypeError`` if
    ``enabled`` is no bool.
    """
    global _forced, _variable
    if enabled is not None and not isinstance(enabled, bool):
        raise TypeError(f"enabled must be True, False or None, not {enabled!r}")
    if env_var is not None:
        if not isinstance(env_var, str):
            raise TypeError(f"env_var must be the name of an environment variable, not {env_var!r}")
        _variable = env_var
    _forced = enabled
    return get_jit_logging()


def get_jit_logging() -> bool:
    """Whether compilations are logged now."""
    if _forced is not None:
        return _forced
    return os.environ.get(_variable, "").strip().lower() not in _FALSE


def _compiled(lines: str) -> None:
    """Called after each compilation."""
    if not get_jit_logging():
        return
    import logging

    logger = logging.getLogger("iris.jit")
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())
    if logger.getEffectiveLevel() > logging.INFO:
        # Who asks for the log wants to see it without configuring another one.
        logger.setLevel(logging.INFO)
    logger.info("%s", lines.rstrip())
