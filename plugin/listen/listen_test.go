package listen

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ask(conn net.Conn) (string, error) {
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close()
	return resp.Status, nil
}

// TestConnectionsAreBounded: one more than there may be waits until another is closed.
func TestConnectionsAreBounded(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := taken.Addr().String()
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Option: "test_listen", Serving: "/", Missing: "nothing is", Addr: addr, ConnectionsMax: 2, Log: slog.New(slog.DiscardHandler),
		HTTP: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Minute},
	}
	s.Start()
	var conns []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		conns = append(conns, conn)
	}
	for i := range 2 {
		if status, err := ask(conns[i]); status != "200 OK" {
			t.Fatalf("connection %d: got %q, %v", i, status, err)
		}
	}
	answered := make(chan string, 1)
	go func() {
		status, err := ask(conns[2])
		answered <- fmt.Sprint(status, err)
	}()
	select {
	case got := <-answered:
		t.Fatalf("got %s; want the third to wait", got)
	case <-time.After(100 * time.Millisecond):
	}
	_ = conns[0].Close()
	if got := <-answered; got != "200 OK<nil>" {
		t.Errorf("got %s; want an answer when there is room", got)
	}
	if s.Bound() == nil || s.Bound().String() != addr {
		t.Errorf("got bound to %v; want %s", s.Bound(), addr)
	}
	s.Close()
	if l, err := net.Listen("tcp", addr); err != nil {
		t.Errorf("got %v; want the address to be free", err)
	} else {
		_ = l.Close()
	}
}
