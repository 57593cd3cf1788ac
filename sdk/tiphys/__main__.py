"""``python -m tiphys``: the command line."""

import sys

from tiphys.cli import main

sys.exit(main())
