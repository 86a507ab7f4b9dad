"""Whether compilations are logged, and the log."""

from __future__ import annotations

from iris._switches import Switch

_log = Switch("IRIS_JIT_LOG")


def set_jit_logging(enabled: bool | None, env_var: str | None = None) -> bool:
    """Switches the log of compilations on or off; ``None`` leaves it to the environment.

    ``env_var`` names the environment variable to look at from now on, ``IRIS_JIT_LOG`` at first: any
    value but ``0``, ``false``, ``no``, ``off`` and nothing is on. Returns whether the log is on now.

    Each compilation then gives a record of the logger ``iris.jit``, level INFO, with the lines of
    ``explain()``. If nobody has set up ``logging``, the records go to stderr. Raises ``TypeError`` if
    ``enabled`` is no bool.
    """
    _log.set(enabled, env_var)
    return get_jit_logging()


def get_jit_logging() -> bool:
    """Whether compilations are logged now."""
    return bool(_log)


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
