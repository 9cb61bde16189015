"""REACHES a XenServer or XCP-ng pool: one line to its master, its answers as errors with a class.

::

    transport   one call over HTTP; keeps "nothing was sent" apart from "nobody knows"
    session     one session of this process with one pool; finds the master
    refusals    the one table from XAPI's codes to what happens next
    pending     the pool's own async jobs, found again by our mark
    records     what the pool's records say, kept fresh by its events

Nothing is exported from here, so that importing one of them does not bring the others.
"""
