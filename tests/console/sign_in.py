"""Who signs in to elbow's console, and out again, where the admin address has credentials.

    sign_in.py PROGRAM DIRECTORY

PROGRAM is elbow; the directory gets a picture of each page in light and dark.
"""

import hashlib
import hmac
import random
import sys
import urllib.error
import urllib.request
from pathlib import Path

from browser import Browser
from console import NAME
from looks import TABS, shown
from stage import INSTANCES, Stage, free_port

# The id and the secret of who may change things, and of who may only read.
CHANGES = ("AKIDCHANGES", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
READS = ("AKIDREADS", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")

# Wrong secrets, until nothing that comes from here is looked at any more.
GUESSES = 10

# What also those may press who may only read.
HARMLESS = {"Explain", "Pause", "Refresh"}

# The buttons by which something changes, by the tab.
BUTTONS = {
    "Description": "Edit stickiness",
    "Instances": "Register an instance",
    "Health check": "Edit health check",
    "Listeners": "Add listener",
    "Attributes": "Edit attributes",
    "Tags": "Add tag",
}


class Guarded(Stage):
    """A stage whose console wants to know who asks, with a load balancer."""

    def configuration(self, pool, arns):
        text = super().configuration(pool, arns)
        for read_only, (key, secret) in ("false", CHANGES), ("true", READS):
            file = self.directory / key
            file.write_text(secret + "\n")
            file.chmod(0o600)
            text += f'[[admin.credential]]\naccess_key_id = "{key}"\n'
            text += f'secret_access_key_file = "{file}"\nread_only = {read_only}\n'
        text += f'[[load_balancer]]\nname = "{NAME}"\ninstances = ["{INSTANCES[0]}"]\n'
        text += f'[[load_balancer.listener]]\nprotocol = "HTTP"\nport = {free_port()}\n'
        return text + 'instance_protocol = "HTTP"\ninstance_port = 1\n'


class Console:
    """The console in a browser."""

    def __init__(self, stage, browser):
        self.stage, self.browser = stage, browser
        self.root = f"{stage.url}/console/"

    def open(self, page=f"load-balancers/{NAME}/tags"):
        # Not only what is behind `#` becomes another one.
        self.browser.open("about:blank")
        self.browser.open(f"{self.root}#/{page}")

    def sign_in(self, key):
        self.browser.type("Access key ID", key[0])
        self.browser.type("Secret access key", key[1])
        self.browser.press("Sign in")

    def sign_out(self):
        self.browser.press("Sign out")
        self.browser.expect("You have signed out.")

    def cookies(self):
        cookies = self.browser.driver.get_cookies()
        return [cookie for cookie in cookies if cookie["name"].startswith("elbow_sign_in_")]

    def run(self, script, *arguments):
        """What a script with `await` in it gives back."""
        whole = (
            "const [args, done] = [[...arguments].slice(0, -1), [...arguments].at(-1)];"
            f"(async () => {{ {script} }})().then(done, (error) => done(`${{error}}`));"
        )
        return self.browser.driver.execute_async_script(whole, *arguments)


def own_code_is_sha256_and_hmac(console):
    console.open()
    console.browser.expect("Secret access key")
    script = (
        'const { sha256, hmac, hex } = await import("/console/sha256.js");'
        "const bytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (d) => parseInt(d, 16));"
        "return args[0].map(([key, data]) =>"
        "    [hex(sha256(bytes(data))), hex(hmac(bytes(key), bytes(data)))]);"
    )
    # RFC 4231 §4.2 and §4.7, then whatever comes, also where blocks end.
    known = [(b"\x0b" * 20, b"Hi There"), (b"\xaa" * 131, b"Test Using Larger Than Block-Size Key")]
    seed = random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)
    pairs = known + [
        (chance.randbytes(chance.randrange(140)), chance.randbytes(length)) for length in range(200)
    ]
    made = console.run(script, [(key.hex(), data.hex()) for key, data in pairs])
    expected = [
        [hashlib.sha256(data).hexdigest(), hmac.new(key, data, "sha256").hexdigest()]
        for key, data in pairs
    ]
    assert made == expected, made
    assert made[0][1].startswith("b0344c61d8db38535ca8afceaf0bf12b"), made[0]


def wrong_ones_are_told_at_their_field(console):
    browser = console.browser
    console.open()
    browser.expect("Secret access key")
    assert browser.focused() == "Access key ID", browser.focused()
    browser.press("Sign in")
    assert "Enter an access key ID" in browser.problem_at("Access key ID")
    console.sign_in(("AKIDNOBODY", CHANGES[1]))
    assert "no such access key ID" in browser.problem_at("Access key ID")
    browser.expect_error("403")
    console.sign_in((CHANGES[0], "another"))
    assert "not the secret access key" in browser.problem_at("Secret access key")
    browser.expect_error("403")
    assert console.cookies() == []


def who_signs_in_changes_things_until_signing_out(console):
    browser = console.browser
    console.open()
    browser.type("Access key ID", CHANGES[0])
    browser.keys("TAB")
    browser.driver.switch_to.active_element.send_keys(CHANGES[1])
    browser.keys("ENTER")
    # The page that was asked for.
    browser.expect("It has no tags.")
    browser.expect_current("Tags")
    assert browser.focused() == NAME, browser.focused()
    assert CHANGES[0] in browser.words()
    [cookie] = console.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and cookie["path"] == "/", cookie
    assert console.run("return document.cookie") == ""
    stored = console.run("return Object.values({ ...localStorage, ...sessionStorage }).join()")
    assert stored == "", stored

    browser.press("Add tag")
    browser.type("Key", "team")
    browser.type("Value", "shop")
    browser.press("Add")
    browser.expect_no_dialog()
    browser.expect("team")
    browser.driver.refresh()
    browser.expect("team")
    browser.follow("Instances")
    browser.expect("Register an instance")

    console.sign_out()
    assert browser.focused() == "Access key ID", browser.focused()
    assert console.cookies() == []
    for words in "team", CHANGES[0], INSTANCES[0]:
        assert words not in browser.words(), browser.words()
    # What the browser had is worth nothing to whoever finds it.
    request = urllib.request.Request(f"{console.stage.url}/v1/backends")
    request.add_header("Cookie", f"{cookie['name']}={cookie['value']}")
    try:
        urllib.request.urlopen(request)
        raise AssertionError("the cookie is good for something")
    except urllib.error.HTTPError as error:
        assert error.code == 401, error
    console.open()
    browser.expect("Secret access key")


def who_is_signed_in_no_more_is_asked_again(console):
    browser = console.browser
    console.open()
    console.sign_in(CHANGES)
    browser.expect("team")
    browser.press("Add tag")
    browser.type("Key", "late")
    browser.driver.delete_all_cookies()
    browser.press("Add")
    browser.expect("You are signed in no more.")
    browser.expect_no_dialog()
    assert browser.focused() == "Access key ID", browser.focused()
    browser.expect_error("403")
    console.sign_in(CHANGES)
    browser.expect("team")
    assert "late" not in browser.words()
    console.sign_out()


def who_may_only_read_sees_all_and_changes_nothing(console, directory):
    browser = console.browser
    console.open("load-balancers")
    console.sign_in(READS)
    browser.expect(f"{READS[0]} · read-only")
    browser.follow(NAME)
    for tab in TABS:
        browser.follow(tab)
        browser.expect_current(tab)
        shown(browser, NAME, directory / f"{tab}-read-only.png")
        texts = [button.text for button in visible_buttons(browser)]
        assert set(texts) - HARMLESS == {"Sign out"}, (tab, texts)
    browser.expect("shop")
    refused = console.run(
        'const { act } = await import("/console/api.js");'
        'const tags = [{ Key: "by", Value: "reader" }];'
        'await act("AddTags", { LoadBalancerNames: [args[0]], Tags: tags });',
        NAME,
    )
    assert "may only read" in refused, refused
    browser.expect_error("403")
    console.sign_out()
    # The same buttons are there for others.
    console.sign_in(CHANGES)
    for tab, name in BUTTONS.items():
        browser.follow(tab)
        browser.expect(name)
    console.sign_out()


def visible_buttons(browser):
    buttons = browser.driver.find_elements("css selector", "button")
    return [button for button in buttons if button.is_displayed()]


def looks(console, directory):
    browser = console.browser
    for scheme in ["light", "dark"]:
        for size, (width, height) in {"wide": (1280, 900), "phone": (390, 844)}.items():
            browser.in_colours(scheme)
            browser.in_size(width, height)
            console.open()
            shown(browser, "Sign in", directory / f"Sign in-{scheme}-{size}.png")
            browser.press("Sign in")
            browser.problem_at("Access key ID")
            shown(browser, "Sign in", directory / f"Sign in, wrong-{scheme}-{size}.png")
            console.sign_in(CHANGES)
            shown(browser, NAME, directory / f"Signed in-{scheme}-{size}.png")
            console.sign_out()
    browser.in_size(1280, 900)


def who_guesses_has_to_wait(console):
    browser = console.browser
    console.open()
    for _ in range(GUESSES):
        console.sign_in((CHANGES[0], "guess"))
        browser.problem_at("Secret access key")
    browser.expect_error("403")
    console.sign_in(CHANGES)
    browser.expect("try again in")
    browser.expect_error("429")
    console.sign_in(READS)
    browser.expect("Sign out")


def main():
    program, directory = sys.argv[1], Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    with Guarded(program) as stage, Browser() as browser:
        console = Console(stage, browser)
        own_code_is_sha256_and_hmac(console)
        wrong_ones_are_told_at_their_field(console)
        who_signs_in_changes_things_until_signing_out(console)
        who_is_signed_in_no_more_is_asked_again(console)
        print("ok signing in and out", flush=True)
        who_may_only_read_sees_all_and_changes_nothing(console, directory)
        looks(console, directory)
        who_guesses_has_to_wait(console)
        print(f"ok read-only, looks, guesses; the pictures are in {directory}")


if __name__ == "__main__":
    main()
