import sys

sys.stdout.write(" ".join(["said", *sys.argv[1:]]) + "\n")
