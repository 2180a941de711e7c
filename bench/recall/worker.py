"""One piece of work in this process: python bench/recall/worker.py WORK JSON

WORK is channel, together, choose, growth, amazon or amazon_search. Prints one line of JSON.
``run.py`` and ``amazon_5core.py`` start it.
"""

from __future__ import annotations

import json
import sys

if len(sys.argv) == 3:
    import amazon
    import channel
    import choose
    import growth
    import together

    measure = {
        "channel": channel.measure,
        "together": together.measure,
        "choose": choose.search,
        "growth": growth.measure,
        "amazon": amazon.row,
        "amazon_search": amazon.search,
    }
    print(json.dumps(measure[sys.argv[1]](json.loads(sys.argv[2]))))
