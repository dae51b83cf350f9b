"""A model server for the real codex: the Responses API over server-sent events, standard library only.

    model.py PORT GATE

Its model says that it has read the skill, writes the greeting with the shell tool, and answers once the file GATE is
there. So a run is under way for exactly as long as a test wants it to be.
"""

import http.server
import json
import os
import sys
import time

SAYS = "I have read the skill. Whom shall I greet? Ada."
COMMAND = "mkdir -p artifacts && echo 'Good morning, Ada!' > artifacts/greeting.txt"
ANSWER = json.dumps({"greeting": "Good morning, Ada!", "file": "artifacts/greeting.txt", "__SKILL_DONE__": True})
USAGE = {"input_tokens": 1, "input_tokens_details": None, "output_tokens": 1, "output_tokens_details": None, "total_tokens": 2}


def message(number, text):
    """Something that the model says."""
    return {"type": "message", "id": number, "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}]}


def items(asked):
    """The model's turn: what it says and does; what a tool answered is in the conversation so far."""
    if any(item.get("type") == "function_call_output" for item in asked.get("input", [])):
        while not os.path.exists(sys.argv[2]):
            time.sleep(0.05)
        return [message("m2", ANSWER)]
    call = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "exec_command",
            "arguments": json.dumps({"cmd": COMMAND})}
    return [message("m1", SAYS), call]


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):  # noqa: N802
        """A turn."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        turn = items(asked)
        events = [{"type": "response.created", "response": {"id": "r"}}]
        events += [{"type": "response.output_item.done", "output_index": n, "item": item} for n, item in enumerate(turn)]
        events.append({"type": "response.completed", "response": {"id": "r", "usage": USAGE}})
        body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Silent."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
