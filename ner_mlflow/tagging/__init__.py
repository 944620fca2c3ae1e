"""Turn words into tags, and texts into entities: the one way, for training and for serving.

The modules in reading order:

- ``iob2``: tags and the entities that they encode;
- ``label_schema``: entity types and the tag of each label id;
- ``casing``: the class of a word by its capitals;
- ``invisible``: characters without a glyph, which belong to no word;
- ``scripts``: scripts without blanks between words, marks and emoji;
- ``cutting``: what stands between two blanks to pieces where entities begin and end;
- ``joining``: words of a corpus to running text and to pieces;
- ``words``: running text to sentences of pieces with offsets;
- ``passages``: neighbouring sentences that a model reads at once;
- ``encoding``: words to windows of subwords, windows to batches, window scores back to words;
- ``decoding``: scores of words to valid tags;
- ``pending``: a result that is still being computed;
- ``tagger``: all of these together, around any function that computes logits;
- ``onnx_engine``, ``openvino_engine``: an exported file to a function that computes logits;
- ``engines``: which of these a model's folder names;
- ``recognizer``: the tagger of an exported model, and texts to entities;
- ``pyfunc``: the recognizer as MLflow serves it.

A registered model carries a copy of the modules that ``pyfunc`` needs. They import nothing else of
this package but ``errors`` and ``cpus``, and no PyTorch.
"""
