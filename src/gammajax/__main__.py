"""``python -m gammajax``."""

import sys

from gammajax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
