"""Certificates: an authority of the test's own, and what it signs, made by the openssl command."""

import os

from netlab import run


class Certificates:
    """NAME.crt and NAME.key in a folder: ca, server (for 127.0.0.1 and localhost), client, stranger."""

    def __init__(self, folder):
        self._folder = folder
        self._make_root("ca")
        self._make_root("stranger")
        self._make_leaf("server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self._make_leaf("client", "extendedKeyUsage=clientAuth")

    def crt(self, name):
        return os.path.join(self._folder, name + ".crt")

    def key(self, name):
        return os.path.join(self._folder, name + ".key")

    def _make_key(self, name):
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key(name))

    def _make_root(self, name):
        self._make_key(name)
        run("openssl", "req", "-x509", "-new", "-key", self.key(name), "-out", self.crt(name), "-days", "2",
            "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")

    def _make_leaf(self, name, extension):
        self._make_key(name)
        request = run("openssl", "req", "-new", "-key", self.key(name), "-subj", f"/CN={name}")
        extensions = os.path.join(self._folder, name + ".ext")
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(extension + "\n")
        run("openssl", "x509", "-req", "-CA", self.crt("ca"), "-CAkey", self.key("ca"), "-CAcreateserial",
            "-out", self.crt(name), "-days", "2", "-extfile", extensions, text_in=request)
