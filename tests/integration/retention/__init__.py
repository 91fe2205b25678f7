"""Log rows that go by age, and the files they go into."""
