"""Makes the example's modules importable, which stand beside `main.py`, a program, and ours."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
