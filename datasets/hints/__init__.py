"""What gammapy's users type, and what to write here: tables, and the classes that answer with them."""
