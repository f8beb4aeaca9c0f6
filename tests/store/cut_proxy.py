"""A TCP relay before the server that can cut every connection, as a network does: no goodbye, no error packet."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading


class Proxy:
    """Listens on loopback and relays to `port`; `cut()` resets what is open, `refuse` rejects what comes."""

    def __init__(self, port: int) -> None:
        self._target, self._open, self.refuse = port, set[socket.socket](), False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self._relay, args=(a, b), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for each in (source, sink):
            self._open.discard(each)
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # or the other thread's recv keeps it alive
            each.close()

    def cut(self) -> int:
        """Reset all connections; how many sockets there were."""
        doomed = list(self._open)
        for each in doomed:
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        return len(doomed)

    def close(self) -> None:
        self._listener.close()
        self.cut()
