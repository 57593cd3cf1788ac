"""``python -m tiphys.engine.fields > docs/fields.md``"""

import sys

from tiphys.engine.fields import page

sys.stdout.write(page())
