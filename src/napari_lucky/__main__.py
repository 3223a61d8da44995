"""`python -m napari_lucky` is the command line."""

import sys

from napari_lucky.cli.main import main

sys.exit(main())
