"""``doppel health``: 0 while this container's service is ready (``--live``: alive). Standard library only."""

import http.client
import os
import sys
from collections.abc import Sequence

TIMEOUT_S = 3.0


def health(arguments: Sequence[str]) -> int:
    """Ask the health port of this machine's service."""
    port = os.environ.get("DOPPEL_HEALTH_PORT", "")  # noqa: TID251  settings would cost half a second of imports
    if not port.isdecimal() or port == "0":
        sys.stderr.write("DOPPEL_HEALTH_PORT is not set; say on which port the service tells its health.\n")
        return 2
    path = "/health/live" if "--live" in arguments else "/health/ready"
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(2000).decode(errors="replace")
    except OSError as error:
        sys.stderr.write(f"No answer on port {port}: {error}.\n")
        return 1
    finally:
        connection.close()
    if answer.status != 200:
        sys.stderr.write(body + "\n")
    return 0 if answer.status == 200 else 1
