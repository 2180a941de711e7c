"""A trained net as an ONNX file that says what it reads, and the session that scores with one.

The file's inputs are those that the net's ``forward`` reads, each [m, width] with m free; its output is ``logit`` [m]
unless the component names another. What belongs to a request (its history) has n rows, n free, and then ``request`` [m]
says which of them each row belongs to; a file without such inputs has no ``request``. The metadata has one entry
``shortlist``, a JSON text: what stands in each column of each input and how it comes of the columns that the component
was given (``columns_read``). A number that is not finite is missing, as NaN is.
"""

from __future__ import annotations

import importlib.util
import io
import json
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shortlist.encode.inputs import REQUEST, Inputs, Streamed
from shortlist.encode.schema import BUCKET, CATEGORY, CODED, HISTORY_BUCKET, LIST, NUMBER, PAST, Schema
from shortlist.types import Array, Float32

if TYPE_CHECKING:
    from torch import nn

FORMAT = 1
OF_REQUESTS = 2
"""The format of a file with inputs of requests; of any other it is ``FORMAT``."""
KEY = "shortlist"
"""The entry of the file's metadata."""
CHUNK = 2_048
"""Rows scored at once: what stands between layers stays in the cache."""
_ALONE = threading.Lock()
"""The exporter keeps what it is at in globals: two threads that fit nets side by side must not both be in it."""


def can_export() -> bool:
    """Whether the package that writes the file is installed."""
    return importlib.util.find_spec("onnx") is not None


def can_score() -> bool:
    """Whether the package that reads the file is installed."""
    return importlib.util.find_spec("onnxruntime") is not None


def export(net: nn.Module, inputs: Inputs, said: Mapping[str, Any], output: str = "logit") -> bytes:
    """The file, traced with ``inputs`` (two rows at least), ``said`` in its metadata.

    ``said["inputs"]`` has the columns of each input by name; an input that it does not name has none.

    Torch's older exporter, by tracing: every version that this package admits has it, nets here are straight lines of
    tensor operations, and it takes a tenth of a second where the newer one takes three.
    """
    import onnx
    import torch

    arrays = inputs.named()
    axes = {name: {0: "n" if name in inputs.asked else "m"} for name in arrays}
    given = tuple(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays.values())
    file: Any = io.BytesIO()  # admitted, though the annotation of its parameter does not say so
    with _ALONE, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter says that it is the older one, and which branches it froze
        torch.onnx.export(
            _one_by_one(net, list(arrays)).eval(),  # the exporter leaves it as it finds it, and the net with it
            given,
            file,
            dynamo=False,
            input_names=list(arrays),
            output_names=[output],
            dynamic_axes={**axes, output: {0: "m"}},
        )
    model = onnx.load_from_string(file.getvalue())
    shaped = [
        _shaped(name, array, name in inputs.asked, said["inputs"].get(name, [])) for name, array in arrays.items()
    ]
    form = OF_REQUESTS if inputs.asked else FORMAT
    told = {"format": form, "output": output, **said, "inputs": shaped}
    onnx.helper.set_model_props(model, {KEY: json.dumps(told)})
    return bytes(model.SerializeToString())


def _one_by_one(net: nn.Module, names: Sequence[str]) -> nn.Module:
    """The net as the exporter calls it: with one tensor after the other."""
    from torch import Tensor, nn

    class OneByOne(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, *tensors: Tensor) -> Tensor:
            answer: Tensor = self.net(dict(zip(names, tensors, strict=True)))
            return answer

    return OneByOne()


def columns_read(schema: Schema) -> dict[str, list[dict[str, Any]]]:
    """What another program needs to feed the schema's inputs: for each, its columns in order.

    A history's field is one column of as many entries as its ``last`` says, oldest first, padded with 0 on the left;
    ``within``: microseconds before the request, and older events are left out.
    """
    numbers = [_number(schema, int(f)) for f in schema.of_kind(NUMBER)]
    gaps = [{"column": column["column"], "kind": "missing"} for column in numbers if column["gaps"]]
    coded = [_coded(schema, int(f)) for f in schema.of_kind(*CODED)]
    lists = [_coded(schema, int(f)) for f in schema.of_kind(LIST)]
    past = {str(schema.names[f]): [_coded(schema, int(f))] for f in schema.of_kind(*PAST)}
    return {"numbers": [*numbers, *gaps], "codes": coded, "lists": lists, **past}


def _shaped(name: str, array: Array, asked: bool, columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    width = array.shape[1] if array.ndim > 1 else None
    of = {"of": REQUEST} if asked else {}
    return {"name": name, "dtype": str(array.dtype), "width": width, **of, "columns": list(columns)}


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
    if kind not in (BUCKET, CATEGORY):
        said["entries" if kind == LIST else "last"] = int(schema.length[f])
    if kind in PAST and schema.within is not None and schema.within[f] >= 0:
        said["within"] = int(schema.within[f])
    if kind in (BUCKET, HISTORY_BUCKET):
        return {**said, "edges": table.tolist()}
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
        read = self._session.get_inputs()
        self._names = [tensor.name for tensor in read]  # one without a column may be left out
        self._widths = {tensor.name: tensor.shape[1] for tensor in read if len(tensor.shape) > 1}
        self._width = [size for size in self._session.get_outputs()[0].shape[1:] if isinstance(size, int)]

    def reads(self, inputs: Inputs | Streamed) -> bool:
        """Whether the file was made for such arrays: one saved by an earlier version may read others."""
        given = {name: array.shape[1] for name, array in inputs.part(0, 1).named().items() if array.ndim > 1}
        return all(given.get(name) == width for name, width in self._widths.items() if isinstance(width, int))

    def predict(self, inputs: Inputs | Streamed) -> Float32:
        """[m, ...]: what the net answers to each row."""
        m = len(inputs)
        if m <= CHUNK and isinstance(inputs, Inputs):
            return self._run(inputs)
        found: Float32 | None = None  # filled as it goes: answers kept among larger arrays would split the heap
        for at in range(0, max(m, 1), CHUNK):
            answer = self._run(inputs.part(at, at + CHUNK))
            found = np.empty((m, *answer.shape[1:]), np.float32) if found is None else found
            found[at : at + CHUNK] = answer
        assert found is not None
        return found

    def _run(self, inputs: Inputs) -> Float32:
        if not len(inputs):
            return np.empty((0, *self._width), np.float32)
        arrays = inputs.named()
        out = self._session.run(None, {name: np.ascontiguousarray(arrays[name]) for name in self._names})
        return np.asarray(out[0], np.float32)
