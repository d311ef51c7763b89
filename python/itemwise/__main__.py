"""Run the command line as `python -m itemwise`."""

from itemwise.cli import main

raise SystemExit(main())
