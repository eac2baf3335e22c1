package genlog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// kind is a kind of fault. Make writes its lines, the first at the given time.
type kind struct {
	name, help string
	make       func(g *Generator, at time.Time)
}

// Kinds returns the names of all kinds of faults, sorted.
func Kinds() []string {
	var names []string
	for _, k := range faultKinds() {
		names = append(names, k.name)
	}
	return names
}

// Help says what a kind of fault is.
func Help(name string) string {
	for _, k := range faultKinds() {
		if k.name == name {
			return k.help
		}
	}
	return ""
}

func faultKinds() []kind {
	return []kind{
		{"bruteforce", "somebody guesses passwords", bruteforce},
		{"crash", "the database server crashes and recovers", crash},
		{"dberror", "a statement fails in the database", dbError},
		{"disk", "no space is left where a service writes", disk},
		{"errors", "requests fail as something behind the API is away", upstreamErrors},
		{"exception", "an exception of a sort that is not usual, with its stack trace", exception},
		{"joberror", "a job of the worker fails", jobError},
		{"oom", "the kernel kills a worker process for its memory", oom},
		{"probe", "somebody looks for files and holes", probe},
		{"silence", "a service writes nothing for a while", silence},
		{"slow", "one request takes seconds instead of milliseconds", slow},
		{"unfinished", "a job begins and never ends", unfinished},
		{"value", "an amount that nobody pays", value},
	}
}

func bruteforce(g *Generator, at time.Time) {
	client := fmt.Sprintf("203.0.113.%d", 1+g.rand.IntN(250))
	for range 15 + g.rand.IntN(20) {
		v := g.visit(at)
		v.client, v.agent, v.method, v.path, v.route = client, "python-requests/2.32.3", "POST", "/login", "/login"
		v.status, v.bytes, v.took = 401, 31, g.latency(60)
		g.access(v)
		at = at.Add(g.millis(50, 400))
	}
}

func crash(g *Generator, at time.Time) {
	const server = 64
	victim := pick(g, g.shop.backends[:])
	say := func(pid int, text string, args ...any) {
		g.write(db, at, g.dbLineOf(pid, "", at, text, args...))
		at = at.Add(g.millis(5, 200))
	}
	say(server, "LOG:  server process (PID %d) was terminated by signal %d", victim, []int{6, 9, 11}[g.rand.IntN(3)])
	say(server, "LOG:  terminating any other active server processes")
	say(server, "LOG:  all server processes terminated; reinitializing")
	begun := at
	say(victim+900, "LOG:  database system was interrupted; last known up at %s UTC", at.Add(-g.millis(20e3, 300e3)).Format("2006-01-02 15:04:05"))
	say(victim+900, "LOG:  database system was not properly shut down; automatic recovery in progress")
	redo := g.rand.Uint32()
	say(victim+900, "LOG:  redo starts at 0/%X", redo)
	say(victim+900, "LOG:  redo done at 0/%X system usage: CPU: user: 0.00 s, system: 0.01 s, elapsed: %.2f s", redo+uint32(g.rand.IntN(1<<16)), at.Sub(begun).Seconds())
	say(server, "LOG:  database system is ready to accept connections")
	for i := range g.shop.backends {
		g.shop.backends[i] = victim + 910 + i*7 + g.rand.IntN(5)
	}
}

// dbError is one statement that fails. What says so stands in several lines.
func dbError(g *Generator, at time.Time) {
	e, pid := pick(g, dbErrors()), pick(g, g.shop.backends[:])
	for _, text := range e {
		g.write(db, at, g.dbLineOf(pid, "shop@shop ", at, "%s", fill(g, text)))
	}
	v := g.visit(at)
	v.method, v.path, v.route, v.status, v.bytes, v.took = "POST", "/orders", "/orders", 500, 36, g.latency(1100)
	g.access(v)
}

// fill puts a number where a text has a #.
func fill(g *Generator, text string) string {
	for strings.Contains(text, "#") {
		text = strings.Replace(text, "#", strconv.Itoa(1000+g.rand.IntN(90000)), 1)
	}
	return text
}

func jobError(g *Generator, at time.Time) {
	g.shop.job++
	job := fmt.Sprintf("job-%d", g.shop.job)
	g.write(worker, at, workerLine(at, "info", `msg="job started" job=%s queue=mail order=%d`, job, g.shop.order))
	at = at.Add(g.latency(200))
	g.write(worker, at, workerLine(at, "error", "%s job=%s", fill(g, pick(g, jobErrors())), job))
}

func disk(g *Generator, at time.Time) {
	switch g.rand.IntN(3) {
	case 0:
		g.write(db, at, g.dbLine(at, `ERROR:  could not extend file "base/16385/%d": No space left on device`, 24000+g.rand.IntN(900)))
		g.write(db, at, g.dbLine(at, "HINT:  Check free disk space."))
	case 1:
		g.write(worker, at, workerLine(at, "error", `msg="cannot write the spool" file=/var/spool/mail/%s error="write: no space left on device"`, g.hex(4)))
	default:
		g.write(billing, at, javaLine(at, "ERROR", "receipts", "ReceiptStore", "receipt of order=%d was not stored", g.shop.order)+
			trace("java.io.IOException: No space left on device", []string{
				"java.base/sun.nio.ch.UnixFileDispatcherImpl.write0(Native Method)", "java.base/sun.nio.ch.IOUtil.write(IOUtil.java:102)",
				"shop.billing.ReceiptStore.store(ReceiptStore.java:77)", "java.base/java.lang.Thread.run(Thread.java:1583)"}))
	}
}

func upstreamErrors(g *Generator, at time.Time) {
	upstream := pick(g, []string{"catalogue", "stock", "prices", "sessions", "search"})
	reason := fmt.Sprintf(pick(g, upstreamReasons()), fmt.Sprintf("10.20.3.%d:8080", 2+g.rand.IntN(30)))
	for range 6 + g.rand.IntN(10) {
		v := g.visit(at)
		product := g.product()
		v.path, v.route, v.status, v.bytes, v.took = fmt.Sprintf("/products/%d", product), "/products/{id}", 502, 150, g.latency(900)
		g.write(api, at.Add(v.took), fmt.Sprintf(`{"time":"%s","level":"error","msg":"upstream unavailable","upstream":"%s","error":"%s","request":"%s"}`,
			at.Add(v.took).Format("2006-01-02T15:04:05.000Z"), upstream, reason, v.id))
		g.access(v)
		at = at.Add(g.millis(100, 700))
	}
}

func exception(g *Generator, at time.Time) {
	e := pick(g, exceptions())
	thread := fmt.Sprintf("payment-%d", 1+g.rand.IntN(4))
	g.write(billing, at, javaLine(at, "ERROR", thread, e.class, e.says, g.shop.order)+trace(e.exception, append(e.frames,
		fmt.Sprintf("shop.billing.PaymentLoop.handle(PaymentLoop.java:%d)", 51), "java.base/java.lang.Thread.run(Thread.java:1583)")))
}

func oom(g *Generator, at time.Time) {
	n, pid := 1+g.rand.IntN(4), 2000+g.rand.IntN(6000)
	g.write(worker, at, workerLine(at, "warn", `msg="queue" name=mail depth=%d workers=4 rss_mb=%d`, 40+g.rand.IntN(60), 950+g.rand.IntN(70)))
	at = at.Add(g.millis(300, 1500))
	g.write(worker, at, workerLine(at, "error", `msg="worker process ended" worker=%d pid=%d signal=killed`, n, pid))
	at = at.Add(g.millis(20, 90))
	g.write(worker, at, workerLine(at, "info", `msg="worker process started" worker=%d pid=%d`, n, pid+3+g.rand.IntN(40)))
}

func probe(g *Generator, at time.Time) {
	client, agent := fmt.Sprintf("198.51.100.%d", 1+g.rand.IntN(250)), pick(g, []string{"Mozilla/5.0 zgrab/0.x", "curl/8.5.0", "Go-http-client/1.1", "-"})
	for range 6 + g.rand.IntN(12) {
		v := g.visit(at)
		v.client, v.agent, v.path, v.status, v.bytes, v.took = client, agent, pick(g, probedPaths()), 404, 19, g.latency(1)
		g.write(web, at.Add(v.took), accessLine(&v, at.Add(v.took)))
		at = at.Add(g.millis(30, 300))
	}
}

// silencePrice is what a silence costs, in lines: it has none of its own, but must not come for nothing.
const silencePrice = 20

// silence lasts as long as a thousand lines of the shop take: dozens of lines of the service.
func silence(g *Generator, at time.Time) {
	if g.silent != "" {
		slow(g, at) // one at a time
		return
	}
	service := pick(g, []string{api, db, worker})
	until := at.Add(time.Duration((700 + 600*g.rand.Float64()) / g.cfg.Rate * float64(time.Second)))
	g.silent, g.silentUntil = service, until
	g.credit -= silencePrice
	g.push(Record{Time: at, Service: service, Fault: g.fault, Kind: g.kind, Until: until})
}

func slow(g *Generator, at time.Time) {
	v := g.visit(at)
	product := g.product()
	v.path, v.route, v.bytes = fmt.Sprintf("/products/%d", product), "/products/{id}", 280+product
	v.took = g.latency(4000)
	took := v.took - 5*time.Millisecond
	g.write(db, v.at.Add(took), g.dbLine(v.at.Add(took), "LOG:  duration: %.3f ms  statement: SELECT id, name, price, stock FROM products WHERE id = %d", took.Seconds()*1000, product))
	g.access(v)
}

func unfinished(g *Generator, at time.Time) {
	g.shop.job++
	job := fmt.Sprintf("job-%d", g.shop.job)
	g.write(worker, at, workerLine(at, "info", `msg="job started" job=%s queue=mail order=%d`, job, g.shop.order))
}

func value(g *Generator, at time.Time) {
	amount := (1 + g.rand.Float64()) * pick(g, []float64{20000, 80000, 400000})
	g.write(billing, at, javaLine(at, "INFO ", "payment-1", "ChargeService", "charging order=%d amount=%.2f currency=EUR", g.shop.order, amount))
}
