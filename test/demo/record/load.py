#!/usr/bin/env python3
"""Customers of the recording: SECONDS of requests through nginx, about RATE a second in slow waves."""
import http.client
import math
import random
import sys
import threading
import time

AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "shop-app/4.2.1 (Android 14)",
    "shop-app/4.2.0 (iOS 17.5)",
]


def visit(rng, user):
    """One visit: look around, perhaps fill the cart, perhaps order."""
    source = f"10.20.1.{10 + user % 50}"
    agent = AGENTS[user % len(AGENTS)]
    conn = http.client.HTTPConnection("10.20.0.11", 80, timeout=20, source_address=(source, 0))

    def ask(method, path):
        conn.request(method, path, headers={"User-Agent": agent, "X-User": str(user), "Host": "shop.example"})
        answer = conn.getresponse()
        body = answer.read()
        time.sleep(rng.uniform(0.1, 1.2))
        return answer.status, body

    try:
        ask("GET", "/products")
        item = 0
        for _ in range(rng.randint(1, 5)):
            item = int(min(799, rng.paretovariate(0.7)))
            if rng.random() < 0.004:
                item = rng.randint(800, 999)
            ask("GET", f"/products/{item}")
        if rng.random() < 0.45:
            ask("POST", f"/cart/{item}")
            if rng.random() < 0.7:
                status, body = ask("POST", "/orders")
                if status == 201:
                    ask("GET", "/orders/" + body.decode().split(":")[1].strip(" }\n"))
    except OSError:
        pass
    finally:
        conn.close()


def main():
    seconds, rate = float(sys.argv[1]), float(sys.argv[2])
    rng = random.Random(7)
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < seconds:
        wave = 1 + 0.4 * math.sin(now / 170)
        time.sleep(rng.expovariate(rate / 5 * wave))
        threading.Thread(target=visit, args=(random.Random(rng.random()), rng.randint(1, 400)), daemon=True).start()
    time.sleep(3)


main()
