"""A real browser: Debian's chromium, by chromium-driver (W3C WebDriver, over HTTP), as root in a test's own profile."""

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
DEADLINE = 20  # seconds until what a page shows must be there


class BrowserError(Exception):
    pass


class Browser:
    """with Browser(width=1280) as page: page.open(url); page.click("Trace"); page.wait_for_text("found")"""

    def __init__(self, width=1280, height=900, dark=False, prefix=()):
        self.profile = tempfile.mkdtemp(prefix="browser-")
        self.driver = subprocess.Popen([*prefix, "chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                self.base = f"http://127.0.0.1:{found[1]}"
                break
        else:
            raise BrowserError("chromedriver did not start")
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={self.profile}",
                     "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
                     "--force-device-scale-factor=1", f"--window-size={width},{height}"]
        if dark:
            arguments.append("--force-dark-mode")
            arguments.append("--blink-settings=preferredColorScheme=0")
        asked = {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "acceptInsecureCerts": True,
            "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}}
        self.session = f"/session/{self.call('POST', '/session', asked)['sessionId']}"
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.driver.stdout.close()
            shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(json.load(error)["value"]["message"]) from None

    def command(self, name, **parameters):
        """One of Chrome's own (DevTools protocol)."""
        return self.call("POST", f"{self.session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def open(self, url):
        self.call("POST", f"{self.session}/url", {"url": url})

    def tabs(self):
        return self.call("GET", f"{self.session}/window/handles")

    def to_tab(self, handle):
        self.call("POST", f"{self.session}/window", {"handle": handle})

    def reload(self):
        self.call("POST", f"{self.session}/refresh", {})

    def url(self):
        return self.call("GET", f"{self.session}/url")

    def script(self, text, *arguments):
        return self.call("POST", f"{self.session}/execute/sync", {"script": text, "args": list(arguments)})

    def text(self):
        return self.script("return document.body.innerText")

    def wait(self, condition, what):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            try:
                if found := condition():
                    return found
            except BrowserError:  # the page is being made anew
                pass
            time.sleep(0.02)
        raise AssertionError(f"not within {DEADLINE} s: {what}; the page:\n{self.text()[:3000]}")

    def wait_for_text(self, text):
        return self.wait(lambda: text in self.text(), f"'{text}' on the page")

    def find(self, css):
        return self.wait(lambda: self.call("POST", f"{self.session}/element", {"using": "css selector", "value": css}), css)

    def press(self, element):
        self.call("POST", f"{self.session}/element/{element[ELEMENT]}/click", {})

    def click(self, text):
        """A link or a button with this text."""
        quoted = f'"{text}"'
        path = f"//*[self::a or self::button or self::summary][normalize-space()={quoted}]"

        def press():  # what is being made anew is found again
            self.press(self.call("POST", f"{self.session}/element", {"using": "xpath", "value": path}))
            return True
        self.wait(press, text)

    def write(self, css, text):
        element = self.find(css)
        self.call("POST", f"{self.session}/element/{element[ELEMENT]}/clear", {})
        self.call("POST", f"{self.session}/element/{element[ELEMENT]}/value", {"text": text})

    def choose(self, css, value):
        self.script("const e = document.querySelector(arguments[0]); e.value = arguments[1];"
                    " e.dispatchEvent(new Event('change', {bubbles: true}))", css, value)

    def keys(self, *presses):
        """On the keyboard, wherever its place is: texts, and names of keys such as Tab, Shift+Tab, Enter."""
        codes = {"Tab": "\ue004", "Enter": "\ue007", "Shift": "\ue008", "Space": " "}
        actions = []
        for press in presses:
            *held, last = press.split("+") if press.startswith("Shift+") else (press,)
            held = [codes[one] for one in held]
            for key in held:
                actions.append({"type": "keyDown", "value": key})
            for key in (codes[last],) if last in codes else last:
                actions += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
            for key in held:
                actions.append({"type": "keyUp", "value": key})
        self.call("POST", f"{self.session}/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def drag(self, css, first, last):
        """From one share of the element's width to another."""
        self.find(css)
        self.script("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", css)
        box = self.script("const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.x, r.y, r.width, r.height]", css)
        at = lambda share: (round(box[0] + box[2] * share), round(box[1] + box[3] / 2))
        for kind, share in (("mousePressed", first), ("mouseMoved", (first + last) / 2), ("mouseMoved", last), ("mouseReleased", last)):
            x, y = at(share)
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=0 if kind == "mouseReleased" else 1, clickCount=1)

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", f"{self.session}/screenshot")))

    def log(self, kind):
        return self.call("POST", f"{self.session}/se/log", {"type": kind})

    def complaints(self):
        """What the page wrote into the browser's console, or the browser about it, since the last call."""
        return [entry["message"] for entry in self.log("browser") if entry["level"] in ("WARNING", "SEVERE")]

    def hosts(self):
        """Whom it has asked anything since the last call."""
        hosts = set()
        for entry in self.log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("data:", "blob:", "about:")):
                    hosts.add(url.split("/")[2])
        return hosts
