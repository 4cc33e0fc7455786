"""A cookie is explained on its page as `elbow explain` does it."""

from stage import INSTANCES


def explains(console):
    """As it is, if its instance died, and if it were none."""
    browser = console.browser
    console.act("CreateLBCookieStickinessPolicy&PolicyName=explained&CookieExpirationPeriod=60")
    port = f"&LoadBalancerPort={console.port}&PolicyNames.member.1=explained"
    console.act(f"SetLoadBalancerPoliciesOfListener{port}")
    cookie = console.cookie()
    console.open()
    browser.follow("Explain")
    for asked in [cookie, cookie.partition("=")[2], f"Cookie: a=b; {cookie}"]:
        browser.type("Cookie", asked)
        browser.press("Explain")
        browser.expect("valid: the cookie's backend,")
        browser.wait(lambda: "valid" in browser.focused(), "waited for the focus")
    home = browser.rows("Ranked instances")
    [home] = [row[0].split()[1] for row in home if "its home" in row[3]]
    [other] = set(INSTANCES[:2]) - {home}

    browser.select("What if this instance died now?", home)
    browser.press("Explain")
    browser.expect(f"down: the cookie's backend, {home}, is not in service")
    browser.expect(f"{home} had just died")
    browser.expect(f"to {other}")

    browser.select("What if this instance died now?", "Nobody")
    browser.type("Cookie", "AWSELB=1234")
    browser.press("Explain")
    browser.expect("invalid: no cookie opens for this listener")
