"""workers RUNS everything: the Celery app, settings, leased roles and the local stack."""
