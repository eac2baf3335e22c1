package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fault is what the proxy does with one push. The zero fault lets it pass.
type fault struct {
	status       int    // answered in Loki's place
	body, header string // of that answer; header is "Name: value"
	reset        bool   // the connection is reset in the middle of the body
	lose         bool   // Loki gets the push, and the connection is reset in place of its answer
	hang         bool   // the push is read, and never answered
}

// proxy stands between the plugin and a Loki and makes faults.
type proxy struct {
	url, address string
	behind       string

	mu     sync.Mutex
	plan   func(push int, body []byte) fault // nil: everything passes
	pushes int
	server *http.Server // nil: closed
}

// newProxy starts a proxy before the Loki at behind. It is closed until open is called.
func newProxy(t *testing.T, behind string, plan func(int, []byte) fault) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	p := &proxy{url: "http://" + address, address: address, behind: behind, plan: plan}
	t.Cleanup(p.close)
	return p
}

// open starts to listen.
func (p *proxy) open(t *testing.T) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = &http.Server{Handler: p}
	go func(s *http.Server) { _ = s.Serve(l) }(p.server)
	return p
}

// close refuses connections from now on and drops those there are.
func (p *proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		_ = p.server.Close()
		p.server = nil
	}
}

// heal lets everything pass from now on.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = nil
}

// count returns how many pushes came.
func (p *proxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pushes
}

func (p *proxy) next(body []byte) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pushes++
	if p.plan == nil {
		return fault{}
	}
	return p.plan(p.pushes, body)
}

// ServeHTTP takes one push.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	half := make([]byte, r.ContentLength/2)
	if _, err := io.ReadFull(r.Body, half); err != nil {
		return
	}
	f := p.next(half)
	if f.reset {
		resetConn(w)
		return
	}
	rest, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch {
	case f.hang:
		<-r.Context().Done()
	case f.status != 0:
		if name, value, ok := strings.Cut(f.header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(f.status)
		_, _ = io.WriteString(w, f.body)
	default:
		p.forward(w, r, append(half, rest...), f.lose)
	}
}

func (p *proxy) forward(w http.ResponseWriter, r *http.Request, body []byte, lose bool) {
	// Not the client's context: Loki shall have the push even where the client has gone.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, p.behind+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	req.Header = r.Header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || lose {
		resetConn(w)
		return
	}
	for _, name := range []string{"Content-Type", "Retry-After"} {
		if v := resp.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
}

// resetConn ends the connection as a server that is killed does.
func resetConn(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_ = errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close())
}

// first makes f of the first n pushes.
func first(n int, f fault) func(int, []byte) fault {
	return func(push int, _ []byte) fault {
		if push <= n {
			return f
		}
		return fault{}
	}
}

// always makes f of every push.
func always(f fault) func(int, []byte) fault {
	return func(int, []byte) fault { return f }
}
