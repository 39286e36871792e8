"""The backup around restic: what is kept, whether a snapshot lost the data, and the order of the steps.

`python -m guard.backup` runs it behind `guard check`. Nothing here loads into the guard's own commands.
"""
