"""The routes, by what they are for. Each module gives one router; only ``app.py`` says which error is which status."""
