"""Alembic's entry: runs the migrations on the connection that crmstore/migrating.py hands in."""

from alembic import context

from crmstore import schema

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=schema.metadata, render_as_batch=True)
context.run_migrations()
