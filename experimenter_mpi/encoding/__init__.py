"""Values to JSON text and back; arrays and the files that hold them."""
