"""This machine, for every room: one way of each thing.

::

    atomic.py        a file or folder put into its place whole, or not at all
    files.py         trees of files: listed, copied, made read-only, removed
    walk.py          folders walked, with a stated rule for links
    sqlite.py        databases that many processes share
    processes.py     a job's processes: started, waited for, canceled
    process_tree.py  a tree of processes, known from all others and ended to the last one
    reaper.py        runs a command, and ends what it leaves behind (Linux)
    permissions.py   what root may do against the permissions of a file, laid down
    services.py      background servers: started once, found again, stopped
    supervisor.py    the process beside such a server
    loopback.py      free ports of this machine
    own_origin.py    a server that refuses what web pages from elsewhere send
"""
