"""Chromium for the tests of the report: started by chromedriver, without a network, thrown away afterwards."""
import base64
import json
import os
import shutil
import tempfile

PROGRAM, DRIVER = "chromium", "chromedriver"


def missing():
    """What is not installed, as a reason to skip; empty when all is there."""
    absent = [name for name in (PROGRAM, DRIVER) if shutil.which(name) is None]
    try:
        import selenium  # noqa: F401 pylint: disable=unused-import,import-outside-toplevel
    except ImportError:
        absent.append("python3-selenium")
    return ", ".join(absent)


class Browser:
    def __init__(self):
        from selenium import webdriver  # pylint: disable=import-outside-toplevel
        from selenium.webdriver.chrome.service import Service  # pylint: disable=import-outside-toplevel
        self.folder = tempfile.TemporaryDirectory(prefix="cpulevel-browser-")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which(PROGRAM)
        for argument in ("--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run",
                         "--disable-background-networking", "--disable-component-update", "--disable-sync",
                         "--disable-dev-shm-usage", "--window-size=1280,900", f"--user-data-dir={self.folder.name}"):
            options.add_argument(argument)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium refuses to start as root with it
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service(shutil.which(DRIVER)), options=options)
        self.driver.set_script_timeout(60)

    def close(self):
        self.driver.quit()
        self.folder.cleanup()

    def command(self, name, **arguments):
        return self.driver.execute_cdp_cmd(name, arguments)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def screen(self, width=1280, height=900, mobile=False):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def colours(self, scheme):
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, path):
        self.complaints()
        self.requests()
        self.driver.get(path.as_uri())

    def complaints(self):
        """What the browser's console says: errors of scripts, refusals of the Content-Security-Policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """The addresses that were asked for since the last call."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found

    def pdf(self, path):
        path.write_bytes(base64.b64decode(self.command("Page.printToPDF", preferCSSPageSize=True,
                                                       printBackground=True)["data"]))

    def picture(self, path, whole=False, tallest=5000):
        arguments = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.command("Page.getLayoutMetrics")["cssContentSize"]
            arguments["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], tallest),
                                 "scale": 1}
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", **arguments)["data"]))
