"""What comes after a run: trials as tables and arrays of other libraries."""
