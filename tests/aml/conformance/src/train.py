import sys

sys.stdout.write("train")
