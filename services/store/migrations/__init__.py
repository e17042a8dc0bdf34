"""Migrations of the database, one file a step under versions/, applied by `services.store.engine.open_database`.

A new one: change the table in the file of its aggregate under services/store/, then write the step by hand after the
pattern of the last one, with explicit names for constraints and SQLAlchemy's neutral types; while the two disagree,
tests/store/test_migrations.py fails.
"""
