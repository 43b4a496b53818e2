"""The durable side: one SQLite file, and large arrays in HDF5 files beside it."""
