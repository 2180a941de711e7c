"""One piece of work in this process: python bench/recall/worker.py channel|together|choose|growth JSON

Prints one line of JSON. ``run.py`` starts it.
"""

from __future__ import annotations

import json
import sys

if len(sys.argv) == 3:
    import channel
    import choose
    import growth
    import together

    measure = {
        "channel": channel.measure,
        "together": together.measure,
        "choose": choose.search,
        "growth": growth.measure,
    }
    print(json.dumps(measure[sys.argv[1]](json.loads(sys.argv[2]))))
