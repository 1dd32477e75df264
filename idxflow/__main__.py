"""`python -m idxflow`."""

import sys

from idxflow.cli.main import main

sys.exit(main())
