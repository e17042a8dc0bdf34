"""A port to listen on, had or refused before anything else is started."""

from __future__ import annotations

import errno
import os
import socket

from services.errors import InputError


def listening(host: str, port: int) -> socket.socket:
    """A listening socket, bound here: uvicorn would end the process when the port is taken.

    Raises:
        InputError: if the port is taken, or the address is none of this machine's.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            why = os.strerror(error.errno)
            raise InputError(f"--port {port}: {why} on {host}; name a free port") from None
        raise InputError(
            f"--host {host}: not an address of this machine; 127.0.0.1 answers to it alone, 0.0.0.0 to others too"
        ) from None
