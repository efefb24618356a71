#!/usr/bin/env python3
"""IMAP on 127.0.0.1, port 143.

	imap.py NAME PASSWORD ...	logs in with each in turn: prints OK or NO for each
	imap.py -c N FILE NAME PASSWORD	N clients log in over and over, until FILE is there:
					prints how many of all their logins were none

Passwords are bytes as they come.
"""
import imaplib
import os
import sys
import threading
import time

PATIENCE = 60
PAUSE = 0.3


def login(name, password):
    words = b'\0' + os.fsencode(name) + b'\0' + os.fsencode(password)
    server = imaplib.IMAP4('127.0.0.1', 143, timeout=PATIENCE)
    try:
        server.authenticate('PLAIN', lambda _: words)
        return 'OK'
    except imaplib.IMAP4.error:
        return 'NO'
    finally:
        server.logout()


class Client(threading.Thread):
    def __init__(self, end, words):
        super().__init__()
        self.end = end
        self.words = words
        self.tried = 0
        self.failed = 0
        self.start()

    def run(self):
        while self.tried == 0 or not os.path.exists(self.end):
            self.tried += 1
            try:
                self.failed += login(*self.words) != 'OK'
            except OSError:
                self.failed += 1
            time.sleep(PAUSE)


def crowd(number, end, *words):
    clients = [Client(end, words) for _ in range(int(number))]
    for c in clients:
        c.join()
    print(sum(c.failed for c in clients), 'of', sum(c.tried for c in clients))


if sys.argv[1] == '-c':
    crowd(*sys.argv[2:])
else:
    print(*[login(sys.argv[1], p) for p in sys.argv[2:]])
