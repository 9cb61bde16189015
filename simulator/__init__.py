"""PRETENDS to be a XenServer pool, on loopback, as far as a client can tell.

A whole pool lives in memory behind XML-RPC and JSON-RPC. The room has no part in xenlaunch: it
imports nothing of ours, so a client that is wrong about XenServer is wrong here too.

    schema/      what classes, fields and relations there are
    db           the rows, who points at whom, and what changed when
    calls        every call by name: the generated, and those that behaviour/ declares
    dispatch     one request from its name to its answer
    wire_*, http how requests and answers look as bytes
    members, doors, certificates        who is asked, where, and how a client knows it
    sessions, rbac      who asks, and what that user may
    tasks, events       what else XAPI itself keeps
    locks, memory, latency      what makes calls wait
    behaviour/   what the calls do, one file a class
    images, rawdisk     what is on the disks, and how it gets there
    pool         the ready-made pool
    faults, control, calllog    what a test may do to it and ask of it
"""
