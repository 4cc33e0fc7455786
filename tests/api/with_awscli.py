#!/usr/bin/env python3
"""The real `aws elb`, boto3, schemathesis and parsers against a running elbow.

    with_awscli.py path/to/elbow            all that is promised
    with_awscli.py path/to/elbow WORD       the promises with that in their names

Each promise is a function with its name in one of the modules beside this file, and has an elbow of
its own. What goes by chance prints its seed; ELBOW_TEST_SEED=that goes the same way. Needs awscli,
boto3, botocore, schemathesis, openssl, prometheus-client and promql-parser. Nothing leaves this
host.
"""

import signal
import sys
import time
import traceback

import acting
import actions
import credentials
import described
import examples
import measured
import surviving
import walk_throughs

MODULES = [walk_throughs, actions, acting, surviving, credentials, examples, described, measured]


def main():
    # When it is told to end, what it started ends too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    program, *words = sys.argv[1:]
    promises = [promise for module in MODULES for promise in module.PROMISES]
    promises = [one for one in promises if all(word in one.__name__ for word in words)]
    broken = [promise.__name__ for promise in promises if not is_kept(promise, program)]
    print(f"{len(promises)} promises, {len(broken)} broken", *broken)
    return bool(broken or not promises)


def is_kept(promise, program):
    print(f"{promise.__module__}: {promise.__name__}", flush=True)
    start = time.monotonic()
    try:
        promise(program)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print(f"BROKEN    {promise.__name__}", flush=True)
        return False
    print(f"kept      {time.monotonic() - start:5.1f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
