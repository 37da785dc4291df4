"""What runs inside a worker process, in the job's own interpreter: the standard library alone
(and, for tables, the job's pandas), Python 3.8 or newer, nothing of the rest of this project.
"""
