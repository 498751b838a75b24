"""Alembic's entry: runs on the connection that `gateway.database.migrate` hands over."""

from alembic import context

from gateway.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    # SQLite rolls tables back like rows; Alembic only does not count on it by itself.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
