"""How trials are run: one module per mode, each given a ``Sweep``."""
