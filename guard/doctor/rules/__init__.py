"""The rules, one small module by theme: the text of each is beside its check. Pure: objects in, verdicts out."""
