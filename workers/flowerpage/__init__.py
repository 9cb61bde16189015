"""Flower as ops see it: how it is set, and our own page of launches inside it.

Flower knows Celery tasks, as it has heard of them since it was started. The page knows launches,
and reads them from the ledger. Flower's Redis user need not be able to write there: what the page
wants done it asks of a worker, by message.
"""
