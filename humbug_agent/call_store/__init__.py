"""What is asked of whoever stores calls, and of nobody else: which calls, some at a time, and whose token that is."""
