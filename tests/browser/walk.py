"""A user of the demo, with a browser in front."""

from chromium import Browser
from looking import Eye

EMAIL = "olga@example.com"
PASSWORD = "violet kettle umbrella"
ENTER = "\ue007"


class Walk:
    """What journeys are given: `appliance`, `browser`, `check`, and ways to look."""

    def __init__(self, appliance, driver, results, axe=None, shots=None):
        self.appliance = appliance
        self.driver = driver
        self.check = results.check
        self.browser = Browser(driver, appliance.base)
        self.eye = Eye(self.browser, results.check, axe, shots)

    def look(self, name, status=200):
        """Checks the page in front in every width, light and dark."""
        self.eye.look(name, status)

    def quiet(self, name, status=200):
        """Checks that the console has no complaint but the page's own status."""
        self.eye.quiet(name, status)

    def first_visit(self):
        """Sets the appliance up with the link that it printed."""
        browser, appliance = self.browser, self.appliance
        link = appliance.link()
        browser.open(link)
        self.look("welcome")
        browser.type("#name", "Olga Owner")
        browser.type("#email", EMAIL)
        browser.type("#password", PASSWORD)
        browser.click("form .button")
        key = browser.text("pre.code")
        self.check(f"the key is shown, not `{key}`", len(key) >= 20 and len(key.split()) == 1)
        appliance.key = key
        self.look("key")
        browser.click("a.button")
        browser.wait("the dashboard", lambda: browser.path() == "/")
        self.check("the dashboard follows", browser.texts("h1") == ["Dashboard"])
        browser.open(link)
        browser.find('[role="alert"]')
        self.look("link that was used", 401)

    def sign_in(self, browser=None):
        """Signs the owner in at the door that is in front."""
        browser = browser or self.browser
        browser.type("#email", EMAIL)
        browser.type("#password", PASSWORD)
        browser.click('form[action$="/sign-in"] .button')
        browser.wait("the way in", lambda: not browser.path().startswith("/sign-in"))

    def close(self):
        self.browser.close()
