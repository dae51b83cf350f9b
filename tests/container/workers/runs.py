"""An API worker that starts runs as its children, as the real one does.

`GET /` answers; `GET /eat` starts a run that takes memory until the kernel ends it, and answers how it ended; `GET /env`
answers the environment as JSON.
"""

import http.server
import json
import os
import subprocess
import sys

EATER = "kept = []\nwhile True:\n    kept.append(bytearray(b'x' * (8 << 20)))\n"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = "runs\n"
        if self.path == "/eat":
            text = f"{subprocess.run([sys.executable, '-c', EATER]).returncode}\n"
        if self.path == "/env":
            text = json.dumps(dict(os.environ))
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


print(f"worker up as {os.getuid()}:{os.getgid()}", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8000"))), Handler).serve_forever()
