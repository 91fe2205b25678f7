"""Finding personal data and masking it before it leaves the process."""
