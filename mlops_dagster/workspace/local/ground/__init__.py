"""What every floor above stands on: the state, a job as a plan, addresses and substitutions."""
