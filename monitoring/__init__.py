"""What we know and how we decide: profiles, PSI, frames, drift and everything stored in PostgreSQL."""
