package genlog

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// The services.
const (
	web     = "web"     // a proxy's access log
	api     = "api"     // JSON
	db      = "db"      // PostgreSQL's
	worker  = "worker"  // logfmt
	billing = "billing" // Java's, with stack traces
)

// linesPerRequest is how many lines a request makes on average, with what
// follows from it; a test compares it with what is written.
const linesPerRequest = 2.95

// shop is what the services remember.
type shop struct {
	order, job, charge int
	backends           [8]int // PostgreSQL's processes
	catalogue          []int  // products, popular ones first
	untilCheckpoint    int    // requests
	untilQueue         int
	untilGC            int
}

func newShop(r *rand.Rand) shop {
	s := shop{order: 41000 + r.IntN(1000), job: 900000 + r.IntN(9000), charge: 70000 + r.IntN(1000), catalogue: r.Perm(90)}
	for i := range s.backends {
		s.backends[i] = 1200 + i*7 + r.IntN(5)
	}
	return s
}

// visit is one request.
type visit struct {
	at           time.Time
	client       string
	agent        string
	method, path string
	route        string // the path without its values
	status       int
	bytes        int
	took         time.Duration
	user         int
	id           string
}

// request makes a request and what follows from it, and sets the time of the next.
func (g *Generator) request() {
	at := g.next
	g.next = at.Add(time.Duration(g.rand.ExpFloat64()*g.gap*1e6) * time.Microsecond)
	v := g.visit(at)
	switch p := g.rand.Float64(); {
	case p < 0.06:
		v.client, v.agent, v.user = "10.20.0.11", "kube-probe/1.31", 0
		v.path, v.route, v.bytes, v.took = "/healthz", "/healthz", 13, g.latency(0.8)
	case p < 0.30:
		v.path, v.route, v.bytes = "/products", "/products", 1800+g.rand.IntN(90)
		g.query(v, "SELECT id, name, price FROM products ORDER BY sold DESC LIMIT 20")
	case p < 0.70:
		product := g.product()
		v.path, v.route, v.bytes = fmt.Sprintf("/products/%d", product), "/products/{id}", 280+product
		g.query(v, fmt.Sprintf("SELECT id, name, price, stock FROM products WHERE id = %d", product))
	case p < 0.85:
		g.cart(&v)
	case p < 0.91:
		g.login(&v)
	case p < 0.93:
		v.path, v.route, v.status, v.bytes = "/favicon.ico", "/", 404, 19
	default:
		g.order(&v)
	}
	g.access(v)
	g.routine(at)
}

// visit fills in what requests have in common.
func (g *Generator) visit(at time.Time) visit {
	return visit{
		at: at, client: fmt.Sprintf("10.20.1.%d", 10+g.rand.IntN(60)), agent: pick(g, userAgents()),
		method: "GET", status: 200, took: g.latency(6), user: 1 + g.rand.IntN(400), id: g.hex(16),
	}
}

func (g *Generator) cart(v *visit) {
	v.method, v.path, v.route, v.bytes = "POST", fmt.Sprintf("/cart/%d", g.product()), "/cart/{id}", 24
	if g.rand.Float64() < 0.02 {
		v.status, v.bytes = 409, 41 // out of stock
	}
	g.query(*v, fmt.Sprintf("INSERT INTO cart (customer, product) VALUES (%d, %d)", v.user, g.product()))
}

func (g *Generator) login(v *visit) {
	v.method, v.path, v.route, v.bytes, v.took = "POST", "/login", "/login", 52, g.latency(70)
	if g.rand.Float64() < 0.06 {
		v.status, v.bytes = 401, 31
	}
	g.query(*v, fmt.Sprintf("SELECT id, hash FROM customers WHERE id = %d", v.user))
}

// order is an order: it is paid for, and a mail is sent.
func (g *Generator) order(v *visit) {
	g.shop.order++
	order := g.shop.order
	v.method, v.path, v.route, v.status, v.bytes, v.took = "POST", "/orders", "/orders", 201, 60, g.latency(35)
	g.query(*v, fmt.Sprintf("INSERT INTO orders (id, customer) VALUES (%d, %d)", order, v.user))
	done := v.at.Add(v.took)
	g.bill(done.Add(g.millis(20, 300)), order, g.amount())
	g.mail(done.Add(g.millis(200, 900)), order)
}

// access writes the two lines that every request makes.
func (g *Generator) access(v visit) {
	end := v.at.Add(v.took)
	g.write(web, end, accessLine(&v, end))
	if v.route != "/" {
		g.write(api, v.at.Add(v.took*9/10), apiLine(&v, v.at.Add(v.took*9/10)))
	}
}

func accessLine(v *visit, at time.Time) string {
	return fmt.Sprintf(`%s - - [%s] "%s %s HTTP/1.1" %d %d "-" "%s" rt=%.3f id=%s`,
		v.client, at.Format("02/Jan/2006:15:04:05 -0700"), v.method, v.path, v.status, v.bytes, v.agent, v.took.Seconds(), v.id)
}

func apiLine(v *visit, at time.Time) string {
	level := "info"
	switch {
	case v.status >= 500:
		level = "error"
	case v.status >= 400:
		level = "warn"
	}
	return fmt.Sprintf(`{"time":"%s","level":"%s","msg":"request done","method":"%s","route":"%s","status":%d,"duration_ms":%.1f,"user":%d,"request":"%s"}`,
		at.Format("2006-01-02T15:04:05.000Z"), level, v.method, v.route, v.status, float64(v.took.Microseconds())/1000, v.user, v.id)
}

// query has the database log a statement, as it does of some, with its duration.
func (g *Generator) query(v visit, statement string) {
	if g.rand.Float64() < 0.6 {
		took := g.latency(0.3)
		g.write(db, v.at.Add(took), g.dbLine(v.at.Add(took), "LOG:  duration: %.3f ms  statement: %s", took.Seconds()*1000, statement))
	}
}

func (g *Generator) dbLine(at time.Time, format string, args ...any) string {
	return g.dbLineOf(pick(g, g.shop.backends[:]), "shop@shop ", at, format, args...)
}

func (g *Generator) dbLineOf(pid int, who string, at time.Time, format string, args ...any) string {
	return fmt.Sprintf("%s UTC [%d] %s%s", at.Format("2006-01-02 15:04:05.000"), pid, who, fmt.Sprintf(format, args...))
}

// bill charges a card. Once in a while the provider does not answer at first, which is usual.
func (g *Generator) bill(at time.Time, order int, amount float64) {
	thread := fmt.Sprintf("payment-%d", 1+g.rand.IntN(4))
	g.shop.charge++
	g.write(billing, at, javaLine(at, "INFO ", thread, "ChargeService", "charging order=%d amount=%.2f currency=EUR", order, amount))
	if g.rand.Float64() < 0.08 {
		at = at.Add(2 * time.Second)
		g.write(billing, at, javaLine(at, "WARN ", thread, "ProviderClient", "attempt 1 of 3 failed, trying again")+
			trace("java.net.SocketTimeoutException: Read timed out", socketFrames()))
	}
	took := g.latency(140)
	at = at.Add(took)
	g.write(billing, at, javaLine(at, "INFO ", thread, "ChargeService", "order=%d charged as ch_%d in %d ms", order, g.shop.charge, took.Milliseconds()))
}

func javaLine(at time.Time, level, thread, class, format string, args ...any) string {
	return fmt.Sprintf("%s %s [%s] shop.billing.%s : %s", at.Format("2006-01-02 15:04:05,000"), level, thread, class, fmt.Sprintf(format, args...))
}

// trace is a stack trace as Java prints it below a line.
func trace(exception string, frames []string) string {
	text := "\n" + exception
	for _, frame := range frames {
		text += "\n\tat " + frame
	}
	return text
}

// mail is a job of the worker: begun, sent, done.
func (g *Generator) mail(at time.Time, order int) {
	g.shop.job++
	job, start := fmt.Sprintf("job-%d", g.shop.job), at
	g.write(worker, at, workerLine(at, "info", `msg="job started" job=%s queue=mail order=%d`, job, order))
	at = at.Add(g.latency(90))
	g.write(worker, at, workerLine(at, "info", `msg="mail sent" job=%s domain=%s bytes=%d`, job, pick(g, mailDomains()), 4100+g.rand.IntN(900)))
	at = at.Add(g.latency(4))
	g.write(worker, at, workerLine(at, "info", `msg="job done" job=%s took=%dms`, job, at.Sub(start).Milliseconds()))
}

func workerLine(at time.Time, level, format string, args ...any) string {
	return "time=" + at.Format("2006-01-02T15:04:05.000Z") + " level=" + level + " " + fmt.Sprintf(format, args...)
}

// routine is what services write without being asked. It comes by requests
// rather than by the clock, so that its share is the same at every rate.
func (g *Generator) routine(at time.Time) {
	if due(&g.shop.untilQueue, 60) {
		g.write(worker, at, workerLine(at, "info", `msg="queue" name=mail depth=%d workers=4 rss_mb=%d`, g.rand.IntN(6), 118+g.rand.IntN(20)))
	}
	if due(&g.shop.untilGC, 150) {
		freed := 30 + g.rand.IntN(40)
		g.write(billing, at, javaLine(at, "DEBUG", "gc-watch", "GcMonitor", "pause of %d ms freed %d MB, heap %d MB of 512 MB", 4+g.rand.IntN(12), freed, 300-freed+g.rand.IntN(20)))
	}
	if due(&g.shop.untilCheckpoint, 400) {
		g.write(db, at, g.dbLineOf(77, "", at, "LOG:  checkpoint starting: time"))
		n := 20 + g.rand.IntN(60)
		end := at.Add(g.millis(2000, 6000))
		g.write(db, end, g.dbLineOf(77, "", end, "LOG:  checkpoint complete: wrote %d buffers (%.1f%%); write=%.3f s, sync=0.004 s, total=%.3f s",
			n, float64(n)/163.84, end.Sub(at).Seconds()-0.01, end.Sub(at).Seconds()))
	}
}

// due counts down, and begins again.
func due(left *int, period int) bool {
	if *left--; *left >= 0 {
		return false
	}
	*left = period - 1
	return true
}

// latency is a duration around a median in milliseconds, with a tail to the right as latencies have.
func (g *Generator) latency(median float64) time.Duration {
	return time.Duration(median*math.Exp(0.45*g.rand.NormFloat64())*1000) * time.Microsecond
}

// millis is a duration between two bounds.
func (g *Generator) millis(from, to float64) time.Duration {
	return time.Duration((from+(to-from)*g.rand.Float64())*1000) * time.Microsecond
}

// product prefers the popular ones.
func (g *Generator) product() int {
	n := len(g.shop.catalogue)
	return 1 + g.shop.catalogue[min(int(g.rand.ExpFloat64()*12), n-1)]
}

func (g *Generator) amount() float64 { return 9.9 + math.Round(120*g.rand.ExpFloat64()*0.3*100)/100 }

// hex is an identifier of n bytes.
func (g *Generator) hex(n int) string {
	id := make([]byte, n)
	for i := range id {
		id[i] = byte(g.rand.Uint32())
	}
	return fmt.Sprintf("%x", id)
}

func pick[T any](g *Generator, from []T) T { return from[g.rand.IntN(len(from))] }
