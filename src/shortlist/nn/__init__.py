"""What makes a net a component, the one training loop, and blocks of deep models, one a file.

A deep ranker is one file ``rank/NAME.py`` with a configuration and a net::

    class DeepFM(LayeredRanker):                 # rank/_deep.py: or DeepRanker, if it has no perceptron
        \"""ŷ = ...formula.  ...  Source: ...\"""

        def build(self) -> nn.Module:
            fields = self.fields(self.factors + 1)
            return _Net(fields, self.layers(fields.count * self.factors))

    class _Net(nn.Module):                       # ``forward`` reads as the paper
        def forward(self, x: Mapping[str, Tensor]) -> Tensor:    # -> logits [m]
            v = self.fields(x)                                   # [m, F, d]: a vector for every field
            ...

A net reads tensors by name (``encode.inputs.Inputs``): ``numbers`` Float32 [m, p + g], ``codes`` Int32 [m, q] (rows of
the one table), ``lists`` Int32 [m, l]; of requests, once each, ``history``, ``history.event`` ... Int32 [n, length],
and ``request`` Int64 [m], which of the n each row belongs to. ``fields.py`` makes [m, F, d] of them, and
``fields.count`` is F; with ``histories=False`` the net makes what it likes of the histories, by
``fields.vectors(x["history"])`` [n, length, d]. ``flat.py``: [m, D] for models that do not need a vector for each
number. ``histories.py``: the row, the target and the entries of each window, for a net that looks at every entry with
the target beside it; in training a window may be shorter than ``length``. ``mlp.py``, ``fm.py``: terms. A net of
several labels answers [m, K] (``rank/_tasks.py``): ``parallel.py`` has experts and towers, ``gates.py`` what mixes
experts, ``tasks.py`` the losses.

Any component with a net is a ``Trained`` (``trained.py``): it says ``build`` and ``loss(net, batch)`` and calls
``learn(batches)``. ``plan.py`` has the hyperparameters of training. ``loop.py`` asks the batches for each epoch anew:
``rows.py`` gives labelled rows in a random order (many are encoded only then: ``encode.inputs.Streamed``), another
source draws negatives, masks or rivals. ``loss.py``: losses of labelled rows. ``onnx.py``: the net as a file.

Rules: a parameter of the net called ``bias`` begins as the log odds of the positives, or at 0. Parameters called
``table`` have ``embedding_l2`` / 2 × w² in the loss, those called ``bias`` nothing, others decay by ``l2`` apart from
the gradient (AdamW). Linear layers are drawn by the loop; a block with parameters of its own has ``reset(generator)``,
which draws them from that generator and nothing else. Dropout is ``mlp.Dropout``; any module with an attribute
``generator`` is given the loop's, to draw from in training. ``forward`` is plain tensor operations over the inputs, so
that it can be exported; tensors that it makes are on its inputs' device. A ranker that needs more inputs overrides
``learn_inputs`` and ``of_rows``; one that learns more overrides ``loss``.
"""
