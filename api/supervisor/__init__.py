"""What `pilothouse up` runs: PostgreSQL, Prefect, a worker and the API, watched and restarted."""
