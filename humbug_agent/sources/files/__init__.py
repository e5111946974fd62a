"""Following a log of the PBX through growth, rotation, packing, truncation and absence."""
