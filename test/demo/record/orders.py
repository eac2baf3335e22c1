#!/usr/bin/env python3
"""The small shop service of the recording: HTTP in front, PostgreSQL and Redis behind."""
import json
import logging
import random
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2
import psycopg2.pool
import redis

log = logging.getLogger("orders")
DSN = "host=10.20.0.13 dbname=shop user=orders password=orders application_name=orders connect_timeout=3"


class Shop:
    def __init__(self):
        self.pool = psycopg2.pool.ThreadedConnectionPool(2, 24, DSN)
        self.cache = redis.Redis(host="10.20.0.14", socket_timeout=2)
        self.uses = {}

    def query(self, sql, args):
        """Runs one statement on a pooled connection; a connection is replaced after 60 uses."""
        conn = self.pool.getconn()
        fine = False
        try:
            with conn.cursor() as cur:
                cur.execute(sql, args)
                rows = cur.fetchall() if cur.description else []
            conn.commit()
            fine = True
            return rows
        finally:
            n = self.uses.get(id(conn), 0) + 1
            self.uses[id(conn)] = n % 60
            self.pool.putconn(conn, close=not fine or n >= 60)

    def product(self, number):
        key = f"product:{number}"
        hit = self.cache.get(key)
        if hit:
            return json.loads(hit), "hit"
        rows = self.query("SELECT id, name, price, stock FROM products WHERE id = %s", (number,))
        if not rows:
            return None, "miss"
        self.cache.set(key, json.dumps([str(v) for v in rows[0]]), ex=20)
        return rows[0], "miss"

    def order(self, user, number):
        rows = self.query("UPDATE products SET stock = stock - 1 WHERE id = %s AND stock > 0 RETURNING price", (number,))
        if not rows:
            return None
        return self.query("INSERT INTO orders (customer, product, price) VALUES (%s, %s, %s) RETURNING id",
                          (user, number, rows[0][0]))[0][0]


class Handler(BaseHTTPRequestHandler):
    shop = None

    def answer(self, status, body):
        data = (json.dumps(body, default=str) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def route(self):
        user = int(self.headers.get("X-User", "0"))
        m = re.fullmatch(r"/products/(\d+)", self.path)
        if m:
            row, cached = self.shop.product(int(m[1]))
            return (200 if row else 404), {"product": row, "cache": cached}
        if self.path == "/products":
            return 200, self.shop.query("SELECT id, name, price FROM products ORDER BY sold DESC LIMIT 20", ())
        m = re.fullmatch(r"/orders/(\d+)", self.path)
        if m and self.command == "GET":
            rows = self.shop.query("SELECT id, customer, product, price, placed FROM orders WHERE id = %s", (int(m[1]),))
            return (200 if rows else 404), rows
        m = re.fullmatch(r"/cart/(\d+)", self.path)
        if m and self.command == "POST":
            self.shop.cache.rpush(f"cart:{user}", m[1])
            self.shop.cache.expire(f"cart:{user}", 300)
            return 200, {"items": self.shop.cache.llen(f"cart:{user}")}
        if self.path == "/orders" and self.command == "POST":
            item = self.shop.cache.lpop(f"cart:{user}")
            if item is None:
                return 409, {"error": "cart is empty"}
            number = self.shop.order(user, int(item))
            if number is None:
                log.warning("order refused: product %s out of stock user=%d", item.decode(), user)
                return 409, {"error": "out of stock"}
            log.info("order %d placed user=%d product=%s", number, user, item.decode())
            return 201, {"order": number}
        if self.path == "/healthz":
            self.shop.query("SELECT 1", ())
            return 200, {"ok": True}
        return 404, {"error": "no such page"}

    def handle_any(self):
        begin = time.monotonic()
        request = self.headers.get("X-Request-ID", "-")
        try:
            status, body = self.route()
        except psycopg2.pool.PoolError as err:
            log.error("request %s failed: %s", request, err)
            status, body = 503, {"error": "busy"}
        except (psycopg2.Error, redis.RedisError) as err:
            log.error("request %s failed: %s: %s", request, type(err).__name__, " ".join(str(err).split()))
            status, body = 503, {"error": "storage"}
        self.answer(status, body)
        took = (time.monotonic() - begin) * 1000
        log.info("%s %s status=%d took=%.1fms user=%s request=%s", self.command, self.path, status, took,
                 self.headers.get("X-User", "-"), request)

    do_GET = do_POST = handle_any

    def log_message(self, *args):
        pass


def main():
    logging.basicConfig(filename="/var/log/orders/orders.log", level=logging.INFO,
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    random.seed()
    Handler.shop = Shop()
    log.info("orders listens on 10.20.0.12:8000, python %s", sys.version.split()[0])
    server = ThreadingHTTPServer(("10.20.0.12", 8000), Handler)
    server.serve_forever()


main()
