"""A process of elbow with everything round it: a file, a state directory, a certificate and
instances of its own. All of it ends with the stage, also when a promise was broken.

Nothing here knows what is promised. The addresses are of loopback networks that a stage picks by
chance, so that stages can go on side by side.
"""

import queue
import random
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from backends import Backend

CERTIFICATE = "arn:aws:iam::123456789012:server-certificate/my-server-certificate"

# The instances of a stage, by the names that the pages of AWS use.
INSTANCES = ["i-207d9717", "i-afefb49b", "i-d6f6fae3", "i-7299c809", "i-1234567890abcdef0"]

# Seconds that elbow may take to come up or to end, on a machine that does much else.
PATIENCE = 30


def may_listen_at(port):
    """Whether this user may listen at a port and nobody else does, at whichever address."""
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def free_port():
    """A port at which nobody listens, outside of those that the kernel gives to clients."""
    ports = (random.randrange(10_000, 32_000) for _ in range(1_000))
    return next(filter(may_listen_at, ports))


class Stage:
    """Use it by `with`. `instances` are how many there are behind elbow, `ports` where they speak
    HTTP, `secure_ports` where they speak HTTPS; the certificates have the names of `arns`."""

    def __init__(self, program, instances=2, ports=(), secure_ports=(), arns=(CERTIFICATE,)):
        self.directory = Path(tempfile.mkdtemp(prefix="elbow-api-"))
        self.certificate = self.directory / "both.pem"
        self.backends = {}
        self.elbow = None
        try:
            make_certificate(self.directory, self.certificate)
            first, second = random.randrange(16, 120), random.randrange(256)
            for number, name in enumerate(INSTANCES[:instances], 1):
                address = f"127.{first + 120}.{second}.{number}"
                backend = Backend(name, address, ports, secure_ports, self.certificate)
                self.backends[name] = backend
            self.file = self.directory / "elbow.toml"
            self.file.write_text(self.configuration(f"127.{first}.0.0/16", arns))
            self.elbow = Elbow(program, self.file)
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(
                "the end of elbow's log:", *self.elbow.log.read_text().splitlines()[-20:], sep="\n"
            )
        self.end()

    def end(self):
        try:
            if self.elbow:
                self.elbow.end()
        finally:
            for backend in self.backends.values():
                backend.end()
            shutil.rmtree(self.directory)

    def configuration(self, pool, arns):
        text = f'[host]\nstate_dir = "{self.directory / "state"}"\n'
        text += '[admin]\nlisten = "127.0.0.1:0"\n'
        text += f'[api]\naddress_pool = "{pool}"\n'
        for arn in arns:
            text += f'[[certificate]]\narn = "{arn}"\ncertificate = "{self.certificate}"\n'
        for name, backend in self.backends.items():
            text += f'[[instance]]\nid = "{name}"\naddress = "{backend.address}"\n'
        return text

    @property
    def url(self):
        """Where its API is."""
        return self.elbow.url


class Elbow:
    """The process. It can be killed and started again, with the same file."""

    def __init__(self, program, file):
        self.command = [program, "run", "--config", file]
        self.log = file.with_suffix(".log")
        self.start()

    def start(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, stderr=log, text=True
            )
        lines = queue.Queue()
        threading.Thread(target=self.follow, args=(lines,), daemon=True).start()
        self.url = None
        try:
            while line := lines.get(timeout=PATIENCE):
                if line.startswith("admin "):
                    self.url = line.split()[1]
                if line.startswith("ready "):
                    return
        except queue.Empty:
            pass
        except BaseException:
            self.kill()
            raise
        self.kill()
        raise RuntimeError(f"elbow did not come up\n{self.log.read_text().strip()}")

    def follow(self, lines):
        """Puts each line that it prints, and at its end an empty one."""
        with self.process.stdout as output:
            for line in output:
                lines.put(line)
        lines.put("")

    def kill(self):
        """As kill -9 does it."""
        self.process.kill()
        self.process.wait()

    def end(self):
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"elbow did not end\n{self.log.read_text()}") from None


def make_certificate(directory, both):
    """Writes a certificate and its key to one file."""
    key, chain = directory / "key.pem", directory / "chain.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=elbow.test"]
        + ["-addext", "subjectAltName=DNS:elbow.test", "-keyout", key, "-out", chain],
        check=True,
        capture_output=True,
    )
    both.write_text(chain.read_text() + key.read_text())
