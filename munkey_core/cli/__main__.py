"""`python -m munkey_core.cli`: the same as `munkey`."""

import sys

from munkey_core.cli import main

sys.exit(main())
