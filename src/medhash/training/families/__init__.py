"""How a method of each family is trained and loaded: a module each, found by the family's name.

Each has ``train(task) -> Trained`` and ``load(task) -> Encoder``, see :mod:`medhash.training.task`.
"""
