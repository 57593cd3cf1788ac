"""``python -m tiphys.cli``: the command line."""

import sys

from tiphys.cli import main

sys.exit(main())
