"""What running the service takes: reload, metrics, logs, limits, a gentle stop, audit. Nothing here decides anything."""
