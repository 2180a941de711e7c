"""Everything one deployment needs, in one verified directory."""

from shortlist.bundle.deletion import Deletion, deletion, forget, latest
from shortlist.bundle.folder import Bundle, open_bundle, point, pointing, read_manifest, save, stages
from shortlist.bundle.lock import locked
from shortlist.bundle.manifest import FORMAT

__all__ = [
    "FORMAT",
    "Bundle",
    "Deletion",
    "deletion",
    "forget",
    "latest",
    "locked",
    "open_bundle",
    "point",
    "pointing",
    "read_manifest",
    "save",
    "stages",
]
