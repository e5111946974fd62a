"""The source type while1: /api/cdr of While1 Voice's cloud PBX."""
