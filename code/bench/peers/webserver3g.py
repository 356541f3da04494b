"""webserver3g in Python: a process for each connection, children reaped by a handler.

    python3 webserver3g.py 127.0.0.1:8888

It does what the series' program of that name does, written anew as a peer to
measure ours by: one read, the request printed, the same bytes as the answer.
"""
import os
import signal
import socket
import sys

REQUEST_SIZE = 1024
BACKLOG = 1024
RESPONSE = b"HTTP/1.1 200 OK\n\nHello, World!\n"


def main():
    host, _, port = (sys.argv[1:] or ["127.0.0.1:8888"])[0].rpartition(":")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, int(port)))
    listener.listen(BACKLOG)
    host, port = listener.getsockname()
    print(f"Serving HTTP on http://{host}:{port}/ ...", flush=True)

    signal.signal(signal.SIGCHLD, reap)
    while True:
        connection, _ = listener.accept()  # tries again by itself after EINTR (PEP 475)
        if os.fork() == 0:
            listener.close()
            handle_request(connection)
            connection.close()
            os._exit(0)
        connection.close()


def reap(signum, frame):
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def handle_request(connection):
    request = connection.recv(REQUEST_SIZE)
    print(request.decode(errors="replace"), flush=True)  # _exit flushes nothing
    connection.sendall(RESPONSE)


if __name__ == "__main__":
    main()
