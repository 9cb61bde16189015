"""DECLARES the classes of the pool, complete as to fields, types, defaults and relations.

The text forms are read once, by `declare`; nothing of the behaviour is here.
"""
