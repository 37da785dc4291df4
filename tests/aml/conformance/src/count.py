import sys

sys.stdout.write("count")
