"""`python -m idxflow`."""

import sys

from idxflow.cli import main

sys.exit(main())
