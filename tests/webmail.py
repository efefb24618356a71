#!/usr/bin/env python3
"""A person at a browser: steps on the command line, spoken to chromedriver (WebDriver).

	webmail.py PORT STEP ...

	go URL
	type CSS TEXT		instead of what the field holds
	click CSS		when the page is at rest
	reach CSS OTHER		click until the OTHER is there: a page may still be deaf
	see CSS TEXT		TEXT is in what such an element shows
	save FILE		what the window shows, as PNG

Each step is tried again for PATIENCE seconds before it fails; then what the page shows is
printed, and saved to the FILE of the first save. chromedriver is to listen on PORT.
"""
import base64
import http.client
import json
import sys
import time

PATIENCE = 60
PAUSE = 0.1
HEARD = 10  # seconds after which a click was for nothing
OPTIONS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
           '--disable-background-networking', '--disable-component-update', '--disable-sync',
           '--disable-extensions', '--no-proxy-server', '--window-size=1280,800']
ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'  # the protocol's own word
AT_REST = "return document.readyState === 'complete' && (!window.jQuery || !jQuery.active)"
SHOWN = 'return Array.from(document.querySelectorAll(arguments[0]), e => e.innerText)'


class Failed(Exception):
    pass


class Browser:
    def __init__(self, port):
        self.port = port
        self.session = ''

    def ask(self, method, path, body=None):
        http_to = http.client.HTTPConnection('127.0.0.1', self.port, timeout=PATIENCE)
        http_to.request(method, self.session + path, None if body is None else json.dumps(body))
        reply = json.load(http_to.getresponse())['value']
        http_to.close()
        if isinstance(reply, dict) and 'error' in reply:
            raise Failed(f"{reply['error']}: {reply['message'].splitlines()[0]}")
        return reply

    def start(self):
        chrome = {'args': OPTIONS}
        reply = self.ask('POST', '/session', {'capabilities': {'alwaysMatch': {'goog:chromeOptions': chrome}}})
        self.session = '/session/' + reply['sessionId']

    def quit(self):
        if self.session:
            self.ask('DELETE', '')

    def element(self, css):
        return '/element/' + self.ask('POST', '/element', {'using': 'css selector', 'value': css})[ELEMENT]

    def shown(self, css):
        return self.ask('POST', '/execute/sync', {'script': SHOWN, 'args': [css]})

    # The steps.

    def go(self, url):
        self.ask('POST', '/url', {'url': url})

    def type(self, css, text):
        field = self.element(css)
        self.ask('POST', field + '/clear', {})
        self.ask('POST', field + '/value', {'text': text})
        if self.ask('GET', field + '/property/value') != text:
            raise Failed('the field holds something else')

    def click(self, css):
        if not self.ask('POST', '/execute/sync', {'script': AT_REST, 'args': []}):
            raise Failed('the page is busy')
        self.ask('POST', self.element(css) + '/click', {})

    def reach(self, css, other):
        end = time.monotonic() + HEARD
        if not self.shown(other):
            self.click(css)
        while not self.shown(other):
            if time.monotonic() > end:
                raise Failed(f'no {other}')
            time.sleep(PAUSE)

    def see(self, css, text):
        texts = self.shown(css)
        if not any(text in t for t in texts):
            raise Failed(f'it shows {texts}')

    def save(self, name):
        with open(name, 'wb') as f:
            f.write(base64.b64decode(self.ask('GET', '/screenshot')))


STEPS = {'go': 1, 'type': 2, 'click': 1, 'reach': 2, 'see': 2, 'save': 1}


def patiently(step, *words):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return step(*words)
        except (Failed, OSError) as why:
            if time.monotonic() > end:
                raise Failed(f'{step.__name__} {" ".join(words)}: {why}') from why
        time.sleep(PAUSE)


def parse(words):
    steps = []
    while words:
        n = 1 + STEPS[words[0]]
        steps.append(words[:n])
        words = words[n:]
    return steps


def main():
    steps = parse(sys.argv[2:])
    browser = Browser(int(sys.argv[1]))
    try:
        patiently(browser.start)
        for name, *words in steps:
            patiently(getattr(browser, name), *words)
    except Failed as why:
        print(why)
        if browser.session:
            print('the page:', *browser.shown('body'))
            for name in [s[1] for s in steps if s[0] == 'save'][:1]:
                browser.save(name)
        return 1
    finally:
        browser.quit()
    return 0


sys.exit(main())
