"""The bus: connect, bind handlers, publish, settle. Streams and durables are made by the provisioner only."""

from doppel.bus.bind import Delivery, bind
from doppel.bus.broker import Connection, connect
from doppel.bus.publish import Bus, Publisher

__all__ = ["Bus", "Connection", "Delivery", "Publisher", "bind", "connect"]
