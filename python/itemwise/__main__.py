"""Run the command line as `python -m itemwise`."""

from itemwise.cli.main import main

raise SystemExit(main())
