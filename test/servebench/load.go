package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/test/demo/shoplog"
)

// sink takes pushes and throws them away.
type sink struct {
	url      string
	http     http.Server
	requests atomic.Int64
}

func startSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{url: "http://" + l.Addr().String()}
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.requests.Add(1)
		w.WriteHeader(http.StatusNoContent)
	})
	go func() { _ = s.http.Serve(l) }()
	return s, nil
}

func (s *sink) close() { _ = s.http.Close() }

// source is one service's lines, repeated for ever.
type source struct {
	labels string
	lines  [][]byte
}

func loadLines() ([]source, error) {
	rec, err := shoplog.Load(0)
	if err != nil {
		return nil, err
	}
	var all []source
	for i := range rec.Logs {
		log := &rec.Logs[i]
		s := source{labels: fmt.Sprintf(`{container=%q, namespace="shop"}`, log.Name)}
		for n := range log.Lines {
			s.lines = append(s.lines, []byte(log.Lines[n].Text))
		}
		if len(s.lines) > 0 {
			all = append(all, s)
		}
	}
	return all, nil
}

// openIdle opens connections that have asked once and then wait.
func openIdle(ctx context.Context, addr string, n int) (conns []net.Conn, err error) {
	var d net.Dialer
	for range n {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return conns, err
		}
		conns = append(conns, conn)
		if err := get(conn, addr); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

// get asks for /ready on an open connection.
func get(conn net.Conn, addr string) error {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET /ready HTTP/1.1\r\nHost: %s\r\n\r\n", addr); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// clients push; each has its place in the lines of one service.
type clients struct {
	http *http.Client
	all  []*client
}

type client struct {
	source
	next int
	pod  int
}

func newClients(n int, sources []source) *clients {
	c := &clients{http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, WriteBufferSize: 64 << 10}}}
	for i := range n {
		s := sources[i%len(sources)]
		c.all = append(c.all, &client{source: s, pod: i, next: rand.IntN(len(s.lines))})
	}
	return c
}

// body makes the next push, each entry with the present time.
func (c *client) body(batch int) (body []byte, lineBytes int) {
	var p loki.RawPush
	s := p.Stream(strings.TrimSuffix(c.labels, "}") + `, pod="` + strconv.Itoa(c.pod) + `"}`)
	now := time.Now().UnixNano()
	for i := range batch {
		line := c.lines[c.next%len(c.lines)]
		c.next++
		lineBytes += len(line)
		s.Append(now+int64(i)*1000, line, nil)
	}
	return loki.Compress(p.AppendTo(nil)), lineBytes
}

// push sends one push and returns how long the answer took.
func (c *clients) push(ctx context.Context, url string, body []byte) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/loki/api/v1/push", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	began := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return 0, fmt.Errorf("got %d %s; want 204", resp.StatusCode, text)
	}
	return time.Since(began), nil
}

// result is what a measurement came to.
type result struct {
	entries, bytes int
	took           time.Duration
	times          times
}

func (r *result) perSecond() float64      { return float64(r.entries) / r.took.Seconds() }
func (r *result) bytesPerSecond() float64 { return float64(r.bytes) / r.took.Seconds() }

type times []time.Duration

func (t times) String() string {
	if len(t) == 0 {
		return "none"
	}
	slices.Sort(t)
	at := func(q float64) string {
		return fmt.Sprintf("%.1f ms", float64(t[int(q*float64(len(t)-1))].Microseconds())/1000)
	}
	return fmt.Sprintf("%d, p50 %s, p99 %s, longest %s", len(t), at(0.5), at(0.99), at(1))
}

// each runs work for every client at once and joins what they found.
func (c *clients) each(work func(cl *client, r *result) error) (*result, error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	var sum result
	var failed error
	began := time.Now()
	for _, cl := range c.all {
		all.Go(func() {
			var r result
			err := work(cl, &r)
			mu.Lock()
			defer mu.Unlock()
			sum.entries += r.entries
			sum.bytes += r.bytes
			sum.times = append(sum.times, r.times...)
			if err != nil {
				failed = err
			}
		})
	}
	all.Wait()
	sum.took = time.Since(began)
	return &sum, failed
}

func (c *clients) one(ctx context.Context, cl *client, url string, batch int, r *result) error {
	body, bytes := cl.body(batch)
	took, err := c.push(ctx, url, body)
	r.entries, r.bytes, r.times = r.entries+batch, r.bytes+bytes, append(r.times, took)
	return err
}

// flatOut has every client push as soon as it has its answer.
func (c *clients) flatOut(ctx context.Context, url string, batch int, span time.Duration) (*result, error) {
	end := time.Now().Add(span)
	return c.each(func(cl *client, r *result) error {
		for time.Now().Before(end) && ctx.Err() == nil {
			if err := c.one(ctx, cl, url, batch, r); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// paced has the clients push so many entries a second together, each at its own moments.
func (c *clients) paced(ctx context.Context, url string, batch, rate int, span time.Duration) (*result, error) {
	every := time.Duration(float64(time.Second) * float64(batch*len(c.all)) / float64(rate))
	end := time.Now().Add(span)
	return c.each(func(cl *client, r *result) error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		select {
		case <-time.After(rand.N(every)):
		case <-ctx.Done():
		}
		tick.Reset(every)
		for time.Now().Before(end) && ctx.Err() == nil {
			if err := c.one(ctx, cl, url, batch, r); err != nil {
				return err
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
		return ctx.Err()
	})
}

// cpu is what the process has used so far.
func (s *served) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100 // USER_HZ is 100 on every Linux that Go runs on
}

// memory is the resident set of the process, now and at most.
func (s *served) memory() (now, peak int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			now = kb << 10
		} else if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			peak = kb << 10
		}
	}
	return now, peak
}
