"""tasks DOES: one file a step, the chain of them on one screen, and undo.

A step is a plain function ``(Launch, Pool) -> Launch``. It reads its launch and its pool, and
nothing else; `tasks.step` is the only door between the steps and Celery.
"""
