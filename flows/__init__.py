"""The clock: Prefect flows that train models and measure drift. Flow modules import fast."""
