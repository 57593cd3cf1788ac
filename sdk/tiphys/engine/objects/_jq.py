"""libjq in a process of its own: a filter that never ends, or that wants all memory, ends with this process alone.

Run as ``python -P _jq.py SECONDS BYTES``: stdin is JSON ``[value, filter]``, stdout the list of results, or the text of
what is wrong with the filter.
"""

from __future__ import annotations

import json
import resource
import sys


def main() -> None:
    seconds, size = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import jq

    value, text = json.load(sys.stdin)
    answer: object
    try:
        answer = jq.compile(text).input_value(value).all()
    except ValueError as error:
        answer = str(error)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
