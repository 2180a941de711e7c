"""Blocks of deep models, one a file, and the one training loop.

A deep ranker is one file ``rank/NAME.py`` with a configuration and a net::

    class DeepFM(LayeredRanker):                 # rank/_deep.py: or DeepRanker, if it has no perceptron
        \"""ŷ = ...formula.  ...  Source: ...\"""

        def build(self, schema: Schema) -> nn.Module:
            fields = Fields(schema, self.factors + 1, self.numeric)
            return _Net(fields, self.layers(fields.count * self.factors))

    class _Net(nn.Module):                       # ``forward`` reads as the paper
        def forward(self, numbers, codes, lists):        # -> logits [m]
            v = self.fields(numbers, codes, lists)       # [m, F, d]: a vector for every field
            ...

``schema.py``: the columns (numbers, categories, lists, hashed, history) and ``Schema.encode``, which gives ``numbers``
Float32 [m, p + g], ``codes`` Int32 [m, q] (rows of the one table), ``lists`` Int32 [m, l]. ``fields.py``: those to [m,
F, d]; ``fields.count`` is F. ``flat.py``: those to [m, D] for models that do not need a vector for each number.
``mlp.py``, ``fm.py``: terms. ``loss.py``: objectives. ``loop.py``: training and prediction.

Rules: a parameter of the net called ``bias`` begins as the log odds of the positives. Parameters called ``table`` have
``embedding_l2`` / 2 × w² in the loss, those called ``bias`` nothing, others decay by ``l2`` apart from the gradient
(AdamW). Linear layers are drawn by the loop; a block with parameters of its own has ``reset(generator)``, which draws
them from that generator and nothing else. Dropout is ``mlp.Dropout``. ``forward`` is plain tensor operations over the
inputs, so that it can be exported. A ranker that needs more inputs than those three overrides ``learn_inputs`` and
``inputs``.
"""
