"""``python -m doppel``"""

import sys

from doppel.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
