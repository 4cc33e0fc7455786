"""Small servers of HTTP and HTTPS, each at an address of its own.

One answers with its name. At /login it sets the cookie of an application, MY_APP_COOKIE.
"""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MY_APP_COOKIE = "my-app-cookie"


class Backend:
    """An instance: a server for each of its ports, until `end`."""

    def __init__(self, name, address, ports, secure_ports, certificate):
        self.name = name
        self.address = address
        self.servers = []
        for port in (*ports, *secure_ports):
            server = Server((address, port), Answer)
            server.name = name
            if port in secure_ports:
                server.secure(certificate)
            self.servers.append(server)
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def end(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # Those that elbow keeps are in no hurry to end.
    block_on_close = False

    def secure(self, certificate):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        # The thread of the connection shakes hands, so that a silent client holds up nobody.
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request, client_address):
        """Health checks connect and say nothing; that is no news."""


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one segment: the second would wait for the first's acknowledgement.
    wbufsize = -1

    def do_GET(self):
        body = self.server.name.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/login":
            self.send_header("Set-Cookie", f"{MY_APP_COOKIE}=somebody; Max-Age=30; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
