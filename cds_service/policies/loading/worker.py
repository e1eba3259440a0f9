"""A process that checks its share of the plans: ``python -m cds_service.policies.loading.worker CONNECTION``."""

from __future__ import annotations

import gc
import sys
from multiprocessing.connection import Connection

from cds_service.policies.loading.checking import Checker
from cds_service.policies.loading.processes import Work


def main() -> None:
    """Check what the connection hands over and send each plan's result as soon as it is known."""
    connection = Connection(int(sys.argv[1]))
    work: Work = connection.recv()
    checker = Checker(work.directory)
    # What a check makes is freed without it, and looking for circles takes a seventh of the time.
    gc.disable()
    for place, folder in work.folders:
        connection.send(checker.listed(place, folder))


if __name__ == "__main__":
    main()
