"""Everything PostgreSQL: tables, queries and migrations."""
