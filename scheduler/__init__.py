"""scheduler DECIDES: which launches are accepted, in which order they go, and on which host.

It also sees to it that what was begun goes on: a message is only a hint, and what is due in the
ledger is begun again.
"""
