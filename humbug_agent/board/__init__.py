"""Which channels and queues are busy now.

`model` is what everybody who shows it reads; each feeder keeps it true for one kind of PBX.
"""
