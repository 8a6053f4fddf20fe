"""``python -m ratchet_points`` is the command ``points``."""

import sys

from ratchet_points.cli import main

if __name__ == "__main__":
    sys.exit(main())
