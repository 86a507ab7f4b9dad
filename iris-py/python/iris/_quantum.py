"""Whether calls of offloaded functions try variants of their code."""

from __future__ import annotations

from iris import _iris
from iris._switches import Switch

_quantum = Switch("IRIS_JIT_QUANTUM")


def set_quantum_speculation(enabled: bool | None, env_var: str | None = None) -> bool:
    """Switches quantum speculation on or off; ``None`` leaves it to the environment.

    ``env_var`` names the environment variable to look at from now on, ``IRIS_JIT_QUANTUM`` at first:
    any value but ``0``, ``false``, ``no``, ``off`` and nothing is on. It is read when ``iris`` is
    imported, here, and by ``get_quantum_speculation``. Returns whether speculation is on now. Raises
    ``TypeError`` if ``enabled`` is no bool.

    With it, an offloaded function that is called with arrays for each of their elements has several
    variants: block vectors on one thread, on all, and scalar code, which is compiled on a thread of
    its own meanwhile. For each power of two of elements every variant is timed three times, and the
    fastest is kept; one call in 256 tries another again, for a hundredth of the time at most. Calls
    of less than 2 microseconds are left alone. All variants give the same bits. ``explain()`` lists
    what was measured. Calls of ``strategy="actor"`` have no variants.
    """
    _quantum.set(enabled, env_var)
    return get_quantum_speculation()


def get_quantum_speculation() -> bool:
    """Whether quantum speculation is on now."""
    enabled = bool(_quantum)
    _iris._set_quantum(enabled)
    return enabled


get_quantum_speculation()
