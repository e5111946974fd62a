"""What makes a host deliver its calls: the changes to its files that this takes, shown, and made on request."""
