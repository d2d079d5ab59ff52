"""A DX that keeps what it was told: over TLS, for one token."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "token-of-dx"
UPSERT = "/api/pipelineRuns.upsert"


class Dx:
    def __init__(self, address, certificate, key):
        self.upserts = []
        upserts = self.upserts

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path != UPSERT or self.headers["Authorization"] != f"Bearer {TOKEN}":
                    answer = {"ok": False, "error": "invalid_auth"}
                else:
                    upserts.append(json.loads(body))
                    answer = {"ok": True}
                told = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = ThreadingHTTPServer(address, Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def finished(self):
        """The runs that it was told have finished, with their status."""
        return {upsert["reference_id"]: upsert["status"] for upsert in self.upserts if upsert.get("finished_at")}
