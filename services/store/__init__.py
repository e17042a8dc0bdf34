"""The database: codec, tables, migrations and the repository over them."""
