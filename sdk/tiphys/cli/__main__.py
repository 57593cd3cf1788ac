import sys

from tiphys.cli import main

sys.exit(main())
