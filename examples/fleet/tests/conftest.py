"""Makes the example's modules importable: they stand beside `main.py`, a program."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
