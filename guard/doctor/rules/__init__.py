"""The rules, one small module by theme: the text of each stands beside its check. Pure: objects in, verdicts out."""
