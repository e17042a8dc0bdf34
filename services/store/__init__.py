"""The database: engine, migrations, and one file an aggregate with its tables and queries."""
