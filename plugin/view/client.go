package view

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	// clientsMax bounds the browsers at once: 80 KB each while a frame is made, 1 MB with texts that JSON must escape.
	clientsMax = 16
	// frameEvery is the least time between two frames to one browser, and so the most that a record
	// waits for the next one. A screen shows 60 a second.
	frameEvery = 20 * time.Millisecond
	// idleEvery is how often a frame is sent though nothing happened: the page tells by it that the
	// connection lives, and moves its time axis.
	idleEvery = time.Second
	// writeTimeout is how long a browser may take no byte of a frame before it is sent away. Until
	// then it misses anomalies at most.
	writeTimeout = 10 * time.Second
	// pingEvery finds browsers that are gone without a word.
	pingEvery = 30 * time.Second
	// wishBytesMax bounds one message from a browser.
	wishBytesMax = 256
)

// client is one browser. Only its own goroutine uses what is not atomic.
type client struct {
	hub    *Hub
	conn   *websocket.Conn
	wire   net.Conn      // under conn; the hub's lock guards it
	wake   chan struct{} // holds one: there is something new
	cancel context.CancelFunc
	going  chan struct{} // closed by leave

	watch atomic.Uint32 // id of the grid that it wants to see

	greeted  bool
	watching uint32    // id of the grid that it was shown
	column   int64     // newest that it was shown
	next     uint64    // number of the anomaly to show next
	lost     uint64    // anomalies that it was too slow for
	changed  uint64    // grids.changed when it was told the streams
	listed   time.Time // when that was
	behind   bool      // there are more anomalies than its last frame had room for
}

// wish is what a browser may ask for.
type wish struct {
	Watch uint32 `json:"watch"`
}

// poke says that there is something new. It never waits.
func (c *client) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// leave makes the client say goodbye. The hub's lock is held.
func (c *client) leave() {
	select {
	case <-c.going:
	default:
		close(c.going)
	}
}

// cut ends it without a word. The hub's lock is held. To cancel would not do: a
// goodbye that is under way waits for the browser's, whatever the context says.
func (c *client) cut() {
	c.cancel()
	if c.wire != nil {
		_ = c.wire.Close()
	}
}

// keepWire is a response that tells the client of the connection that it hands over.
type keepWire struct {
	http.ResponseWriter
	c *client
}

func (k keepWire) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	wire, rw, err := http.NewResponseController(k.ResponseWriter).Hijack()
	k.c.hub.mu.Lock()
	defer k.c.hub.mu.Unlock()
	if k.c.wire = wire; err == nil {
		if secure, ok := wire.(*tls.Conn); ok {
			k.c.wire = secure.NetConn() // to close that one takes a farewell, too
		}
	}
	return wire, rw, err
}

// serveWS is GET /ws.
func (h *Hub) serveWS(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	c := &client{hub: h, wake: make(chan struct{}, 1), going: make(chan struct{}), cancel: cancel}
	if !h.enter(c) {
		http.Error(w, fmt.Sprintf("at most %d browsers can watch at once: close one and reload", clientsMax), http.StatusServiceUnavailable)
		return
	}
	defer h.exit(c)
	conn, err := websocket.Accept(keepWire{w, c}, r, &websocket.AcceptOptions{
		InsecureSkipVerify: h.knows(r.Header.Get("Origin")), // else it must be the page's own
	})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(wishBytesMax)
	c.conn = conn
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer cancel()
		c.read(ctx)
	}()
	defer func() { <-read }()
	defer cancel()
	c.write(ctx)
}

// read takes wishes until the connection ends.
func (c *client) read(ctx context.Context) {
	for {
		_, data, err := c.conn.Read(ctx)
		if err != nil {
			return
		}
		var w wish
		if err := json.Unmarshal(data, &w); err != nil {
			_ = c.conn.Close(websocket.StatusUnsupportedData, "want {\"watch\": number}")
			return
		}
		c.watch.Store(w.Watch)
		c.poke()
	}
}

// write sends frames until the connection or the hub ends.
func (c *client) write(ctx context.Context) {
	idle := time.NewTicker(idleEvery)
	defer idle.Stop()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	pace := time.NewTimer(frameEvery)
	defer pace.Stop()
	var d draft
	for {
		if !c.send(ctx, &d) {
			return
		}
		pace.Reset(frameEvery)
		select { // never sooner, whatever is new
		case <-pace.C:
		case <-ctx.Done():
			return
		case <-c.going:
			_ = c.conn.Close(websocket.StatusGoingAway, "the server ends")
			return
		}
		if c.behind {
			continue
		}
		select {
		case <-c.wake:
		case <-idle.C:
		case <-ping.C:
			if !c.ping(ctx) {
				return
			}
		case <-ctx.Done():
			return
		case <-c.going:
			_ = c.conn.Close(websocket.StatusGoingAway, "the server ends")
			return
		}
	}
}

// send makes one frame and sends it. It may take writeTimeout: then others were told more.
func (c *client) send(ctx context.Context, d *draft) bool {
	c.hub.draw(c, d)
	if !c.greeted {
		c.greeted = true
		d.frame.Hello = c.hub.hello()
	}
	text, err := d.encode()
	if err != nil {
		return false // a frame of numbers and strings: cannot happen
	}
	ctx, cancel := context.WithTimeout(ctx, c.hub.writeTimeout)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, text) == nil
}

func (c *client) ping(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, c.hub.writeTimeout)
	defer cancel()
	return c.conn.Ping(ctx) == nil
}
