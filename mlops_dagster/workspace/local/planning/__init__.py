"""From a job of the language to a plan: every reference resolved and checked, nothing started."""
