"""R from Python: functions in a worker process, and stages as scripts."""
