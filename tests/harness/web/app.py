"""Says what it was asked, streams, hangs and fails as it is told."""
import hashlib
import http.server
import json
import socket
import sys
import time
import urllib.parse


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            whole = b""
            while True:
                length = int(self.rfile.readline().strip() or b"0", 16)
                piece = self.rfile.read(length)
                self.rfile.readline()
                if not length:
                    return whole
                whole += piece
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, body, fields=()):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def do(self):
        path = self.path.split("?")[0]
        if path.endswith("/events"):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for number in range(1000):
                self.wfile.write(f"data: {number}\n\n".encode())
                self.wfile.flush()
                time.sleep(0.1)
        elif path.endswith("/hang"):
            time.sleep(3600)
        elif path.endswith("/cut"):
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half")
            self.wfile.flush()
            self.hang_up()
        elif path.endswith("/reset"):
            self.hang_up()
        elif path.endswith("/big"):
            # Longer than any buffer on the way, and never the same twice in a row.
            block = b"".join(b"%07d\n" % number for number in range(8192))
            self.send_response(200)
            self.send_header("Content-Length", str(len(block) * 256))
            self.end_headers()
            for _ in range(256):
                self.wfile.write(block)
        elif path.endswith("/secret"):
            self.answer(200, b"password=hunter2-is-long-enough\n", [("Set-Cookie", "sid=abc123")])
        elif path.endswith("/odd"):
            fields = [("X-Odd", "a\xc2\x9b2J")]
            self.answer(200, b"a\x1b[2Jb\x1b]0;t\x07\nc\n", fields)
        elif path.endswith("/gone"):
            self.answer(404, b"no such thing\n")
        elif path.endswith("/moved"):
            host = self.headers.get("Host")
            self.answer(302, b"", [("Location", f"http://{host}/api/there")])
        else:
            body = self.body()
            said = {
                "method": self.command,
                "path": self.path,
                "fields": {name.lower(): value for name, value in self.headers.items()},
                "query": urllib.parse.parse_qsl(self.path.partition("?")[2], keep_blank_values=True),
                "body": body.decode("utf-8", "replace"),
                "form": urllib.parse.parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True),
                "sha256": hashlib.sha256(body).hexdigest(),
                "length": len(body),
            }
            self.answer(200, json.dumps(said).encode(), [("Content-Type", "application/json"), ("X-Inner", "1")])

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do

    def log_message(self, form, *arguments):
        sys.stderr.write("asked %s %s\n" % (self.command, self.path))
        sys.stderr.flush()


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
