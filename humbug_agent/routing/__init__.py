"""Which calls go where: the fields that calls are told apart by, and the rules of `only`."""
