# What every runner's trial runs.
test "$1" -ge 0
