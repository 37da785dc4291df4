"""What a model version must show before it is trusted.

::

    gate.py       the rules of the quality gate, over metrics alone
    champion.py   the version that passed last, and how the next one takes its place
"""
