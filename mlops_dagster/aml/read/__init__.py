"""From raw YAML to the values of the language, noting every mistake on the way.

Each module reads one kind of thing. What a field may hold, and where the Azure tools are lenient,
follows the schemas that learn.microsoft.com/azure/machine-learning/reference-yaml-overview lists.
"""
