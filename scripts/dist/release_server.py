#!/usr/bin/env python3
"""Serves a directory as the files of a release on GitHub, over TLS: the part of its API that lists them, and the files.

    scripts/dist/release_server.py DIR CERTIFICATE KEY     on 127.0.0.1:443; it writes a line when it listens

For trials of installers in a network namespace in which github.com and api.github.com are this machine."""

import json
import ssl
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FILES, CERTIFICATE, KEY = sys.argv[1:]


class Release(SimpleHTTPRequestHandler):
    def do_GET(self):
        if "/releases/tags/" not in self.path:
            return super().do_GET()
        names = [file.name for file in Path(FILES).iterdir()]
        assets = [{"name": name, "url": f"https://api.github.com/{name}"} for name in names]
        body = json.dumps({"assets": assets}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def translate_path(self, path):
        return str(Path(FILES) / path.rpartition("/")[2])


server = ThreadingHTTPServer(("127.0.0.1", 443), Release)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", flush=True)
server.serve_forever()
