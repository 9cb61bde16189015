"""workers RUNS: the composition root. Here the rooms meet Celery, the settings and the clock.

``celery -A workers worker -P threads`` runs launches; every such process also stands by for the
leased roles (dispatch, watch, recover), and holds those that no other process holds.
"""
