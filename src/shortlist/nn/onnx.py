"""A trained net as an ONNX file that says what it reads, and the session that scores with one.

The file's inputs are those of the net's ``forward``, each [m, width] with m free; its output is ``logit`` [m]. Its
metadata has one entry ``shortlist``, a JSON text made by ``contract``: what stands in each column of each input and how
it comes of the columns that a ranker was given. A number that is not finite is missing, as NaN is.
"""

from __future__ import annotations

import importlib.util
import inspect
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shortlist.nn.schema import BUCKET, CATEGORY, CODED, LIST, NUMBER, POOLED, Inputs, Schema
from shortlist.types import Float32

if TYPE_CHECKING:
    from torch import nn

FORMAT = 1
OUTPUT = "logit"
KEY = "shortlist"
"""The entry of the file's metadata."""
CHUNK = 2_048
"""Rows scored at once: what stands between layers stays in the cache."""


def can_export() -> bool:
    """Whether the package that writes the file is installed."""
    return importlib.util.find_spec("onnx") is not None


def can_score() -> bool:
    """Whether the package that reads the file is installed."""
    return importlib.util.find_spec("onnxruntime") is not None


def export(net: nn.Module, inputs: Inputs, said: Mapping[str, Any]) -> bytes:
    """The file, traced with the rows of ``inputs`` (two at least), ``said`` in its metadata.

    Torch's older exporter, by tracing: every version that this package admits has it, nets here are straight lines of
    tensor operations, and it takes a tenth of a second where the newer one takes three.
    """
    import onnx
    import torch

    names = list(inspect.signature(net.forward).parameters)
    given = tuple(torch.from_numpy(np.ascontiguousarray(a)) for a in inputs)
    file: Any = io.BytesIO()  # admitted, though the annotation of its parameter does not say so
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter says that it is the older one, and which branches it froze
        torch.onnx.export(
            net.eval(),
            given,
            file,
            dynamo=False,
            input_names=names,
            output_names=[OUTPUT],
            dynamic_axes={name: {0: "m"} for name in (*names, OUTPUT)},
        )
    model = onnx.load_from_string(file.getvalue())
    onnx.helper.set_model_props(model, {KEY: json.dumps({**said, "inputs": _shaped(names, inputs, said["inputs"])})})
    return bytes(model.SerializeToString())


def contract(
    schema: Schema, score: Mapping[str, Any], more: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """What another program needs to feed the file: for each input, its columns in order.

    ``score`` says under ``score`` what makes the ranker's score of the logit, and what that takes: ``rate``, and
    ``curve`` [2, k], whose points (from the first row to the second) straight lines join. ``more`` are the columns of
    inputs beyond the schema's.
    """
    numbers = [_number(schema, int(f)) for f in schema.of_kind(NUMBER)]
    gaps = [{"column": column["column"], "kind": "missing"} for column in numbers if column["gaps"]]
    coded = [_coded(schema, int(f)) for f in schema.of_kind(*CODED)]
    pooled = [_coded(schema, int(f)) for f in schema.of_kind(*POOLED)]
    columns = {"numbers": [*numbers, *gaps], "codes": coded, "lists": pooled, **more}
    return {"format": FORMAT, "output": OUTPUT, **score, "inputs": columns}


def _shaped(names: Sequence[str], inputs: Inputs, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "dtype": str(array.dtype), "width": array.shape[1], "columns": columns[name]}
        for name, array in zip(names, inputs, strict=True)
    ]


def _number(schema: Schema, f: int) -> dict[str, Any]:
    return {
        "column": str(schema.names[f]),
        "kind": NUMBER,
        "mean": float(schema.mean[f]),
        "deviation": float(schema.deviation[f]),
        "gaps": bool(schema.gaps[f]),
    }


def _coded(schema: Schema, f: int) -> dict[str, Any]:
    kind, table = str(schema.kinds[f]), schema.table.row(f)["value"]
    said: dict[str, Any] = {"column": str(schema.names[f]), "kind": kind, "first": int(schema.first[f])}
    if kind == BUCKET:
        return {**said, "edges": table.tolist()}
    if kind != CATEGORY:
        said["entries" if kind == LIST else "last"] = int(schema.length[f])
    if schema.hashed[f]:
        return {**said, "hashed": int(schema.width[f])}
    return {**said, "known": [int(value) for value in table]}


class Scorer:
    """A session over the bytes of a file, with ``threads`` threads.

    It keeps the memory of its largest run, which ``CHUNK`` bounds: asking for it anew takes half as long as the net.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        said = json.loads(self._session.get_modelmeta().custom_metadata_map[KEY])
        read = {tensor.name for tensor in self._session.get_inputs()}  # an input without a column may be left out
        self._names = [(at, one["name"]) for at, one in enumerate(said["inputs"]) if one["name"] in read]

    def predict(self, inputs: Inputs) -> Float32:
        """[m]: the net's logits."""
        m = len(inputs[0])
        if m <= CHUNK:
            return self._run(inputs) if m else np.empty(0, np.float32)
        return np.concatenate([self._run([a[at : at + CHUNK] for a in inputs]) for at in range(0, m, CHUNK)])

    def _run(self, inputs: Inputs) -> Float32:
        out = self._session.run([OUTPUT], {name: np.ascontiguousarray(inputs[at]) for at, name in self._names})
        return np.asarray(out[0], np.float32)
