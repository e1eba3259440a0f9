"""The schema, step by step, as Alembic reads it."""
