"""Run by Alembic: the steps of ``versions``, on the connection and in the transaction that ``opening`` hands in."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
