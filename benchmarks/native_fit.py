"""Fit one response matrix with the native engine; prints JSON."""

from __future__ import annotations

import json
import resource
import sys

from itemwise import irt
from itemwise.responses.matrix import read_responses

if __name__ == "__main__":
    path, model, threads = sys.argv[1:]
    table, record = irt.fit(
        read_responses(path), model, prior="none", quadrature=61, threads=int(threads)
    )
    result = {name: table[name].tolist() for name in "adgu"}
    result |= {key: record[key] for key in ("seconds", "converged", "max_gradient")}
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))
