"""Everything one deployment needs, in one verified directory."""

from shortlist.bundle.folder import Bundle, forget, open_bundle, point, read_manifest, save, stages
from shortlist.bundle.manifest import FORMAT

__all__ = ["FORMAT", "Bundle", "forget", "open_bundle", "point", "read_manifest", "save", "stages"]
