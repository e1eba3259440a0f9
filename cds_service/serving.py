"""One process that answers requests, from the policies that are loaded beforehand to its exit status."""

from __future__ import annotations

import gc
import sys
from socket import socket

import uvicorn

from cds_service.app import create_app
from cds_service.errors import PlansError
from cds_service.operations.requests import Identified
from cds_service.operations.serving import ANSWER_SECONDS, GentleServer
from cds_service.policies.library import Library, load_library
from cds_service.policies.loading.processes import MANY
from cds_service.settings import Settings
from cds_service.state import State

NOT_STARTED = 3
"""The exit status of a service that did not start: as uvicorn's own command ends when a port is taken."""
# Objects that come to be and stay, between two looks of the collector for circles.
_SELDOM = 100_000
# For how long a thread keeps the interpreter when another wants it.
_TURN_SECONDS = 0.0001


def served(settings: Settings, listening: socket, library: Library | None) -> int:
    """Answer requests in this process until it is told to stop. The exit status. ``library``: loaded just now."""
    # The store's writer lets go of the interpreter for every row, and has to get it back from a busy event loop each
    # time: with Python's 5 ms, a commit of many rows took seconds, and nothing else waited for anything.
    sys.setswitchinterval(_TURN_SECONDS)
    application = create_app(settings, library=library)
    del library
    state: State = application.state.service
    config = uvicorn.Config(
        # Outside everything, so that the answer to a bug has its id too.
        Identified(application, lambda: state.traffic),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=ANSWER_SECONDS,
    )
    server = GentleServer(config, state.traffic.stop)
    server.run(sockets=[listening])
    return 0 if server.started else NOT_STARTED


def loaded_beforehand(settings: Settings) -> Library | None:
    """The policies, when they are many; None for few, or for none that can be used.

    They are loaded to keep the collector from walking, during requests, what lives as long as the process: code, and what
    loading needs. A large set can be used at once: nothing of it is built yet. Of a small one all is, in circles, and
    nothing frozen that is a circle is ever freed, also when the set is replaced: so that is loaded again when the service
    starts.
    """
    # A decision leaves no circles behind, so there is next to nothing to find, and looking for it amid a large record's
    # tens of thousands of objects would cost more than the decision. Loading thousands of plans is a tenth faster, too.
    gc.set_threshold(_SELDOM, *gc.get_threshold()[1:])
    try:
        library = load_library(settings.plans, settings.ods_practices, settings.cache_folder)
    except PlansError:
        return None  # what is wrong is said when the service starts
    finally:
        gc.collect()
        gc.freeze()
    return library if len(library.policies) >= MANY else None
