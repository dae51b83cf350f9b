"""An API worker as uvicorn behaves without a shutdown timeout: after TERM it waits for open connections, for ever.

`GET /` answers at once; `GET /stream` never ends.
"""

import http.server
import os
import signal
import threading
import time

OPEN = threading.Semaphore(0)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"held\n")
        if self.path == "/stream":
            print("stream open", flush=True)
            while True:
                time.sleep(1)
                self.wfile.write(b".")
                self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # shutdown waits for the threads, that is for the clients


server = Server(("0.0.0.0", int(os.environ.get("PORT", "8000"))), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop).start())


def stop():
    print("waiting for connections to close", flush=True)
    server.shutdown()


server.serve_forever()
server.server_close()
