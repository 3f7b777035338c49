"""``python -m pyopenface``: the command line."""

import sys

from pyopenface.cli import main

sys.exit(main())
