// Package view shows live what is scored: a page of its own with a heatmap of scores, the anomalies
// with their explanations, and a box to score a line by hand. The page is embedded; it asks nobody
// but its own server for anything.
//
// A Hub takes what a pipeline scored and holds the last hour as counts and the last anomalies as
// text, in rings of a fixed size. Browsers are told by WebSocket. Each has a place in those rings and
// no queue of its own: one that is slow is overtaken, and told how many anomalies it missed.
package view

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/pipeline"
)

// Config is what a Hub needs to know. The zero value shows what is observed and can do nothing else.
type Config struct {
	// Threshold is the score from which a record is an anomaly; the heatmap marks it.
	Threshold float64
	// Score judges a line by hand, as the model of stream would now, without learning from it. An error
	// that wraps pipeline.ErrNoModel means that there is no such model. nil: the page has no such box.
	Score func(ctx context.Context, stream string, line []byte) (engine.Verdict, error)
	// Feedback teaches that an anomaly was normal, and says in a sentence what follows from that. An
	// error that wraps ErrRefused is shown to who asked. nil: the page has no such button.
	Feedback func(ctx context.Context, a *Anomaly) (said string, err error)
	// Origins are those under which a proxy shows the page, as a browser writes them:
	// https://logs.example.com. The page's own address needs none, unless it is a name other than localhost.
	Origins []string
	// AnyHost answers whatever host is asked for. Only behind authentication: without it, a web page
	// anywhere could give its name this server's address and read all that is shown (DNS rebinding).
	AnyHost bool
	// Log gets what an operator should know; nil: nobody.
	Log *slog.Logger
	// Now is the clock of the heatmap; nil: time.Now.
	Now func() time.Time
}

// Seen is one scored block, as pipeline shows it.
type Seen = pipeline.Seen

// ErrRefused is wrapped by errors of Config.Feedback whose text is for who asked.
var ErrRefused = errors.New("feedback refused")

// What is logged. docs/operations.md has cause and cure of each.
const (
	msgClients = "live view: %d browsers are connected, no more are let in"
	msgAsk     = "live view: cannot %s: %v"
)

// Hub holds what is shown. It is safe for use by several goroutines.
type Hub struct {
	cfg     Config
	now     func() time.Time
	handler http.Handler
	asks    chan struct{} // one for each POST at work
	// writeTimeout is the constant; tests have less time, or more.
	writeTimeout time.Duration

	mu      sync.Mutex
	grids   grids
	recent  recent
	clients map[*client]struct{}
	full    bool // clientsMax was told
	closed  bool
	serving sync.WaitGroup
}

// New makes a Hub. It fails for an origin that is none.
func New(cfg Config) (*Hub, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Origins = slices.Clone(cfg.Origins)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &Hub{
		cfg:  cfg,
		now:  cfg.Now,
		asks: make(chan struct{}, asksMax),

		writeTimeout: writeTimeout,

		grids:   newGrids(),
		clients: map[*client]struct{}{},
	}
	var err error
	if h.handler, err = newHandler(h); err != nil {
		return nil, fmt.Errorf("cannot make a live view: %w", err)
	}
	return h, nil
}

// Handler serves the page at /, its parts below /static/, what is live at /ws, and takes POST /score
// and POST /feedback. All addresses in the page are relative, so it can be mounted below a path.
func (h *Hub) Handler() http.Handler { return h.handler }

// Observe takes what was scored. It waits for nobody: the lock is held for the copying of counts and
// of the anomalies that fit the ring. Nothing of s is kept.
func (h *Hub) Observe(s Seen) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	at := h.grids.turn(now)
	if flagged := h.count(s, at); flagged+len(s.Events) > 0 {
		h.keep(s, at, now, flagged+len(s.Events)-recentMax)
	}
	for c := range h.clients {
		c.poke()
	}
}

// keep copies the anomalies of a block but for the first skip of them, which the ring could not hold.
func (h *Hub) keep(s Seen, at int64, now time.Time, skip int) {
	for i := range s.Verdicts {
		if !s.Verdicts[i].Anomaly {
			continue
		}
		if skip > 0 {
			skip--
			h.recent.skip()
			continue
		}
		rec := &s.Records[i]
		h.recent.push(newAnomaly(h.grids.of(rec.Stream, at).id, rec, &s.Verdicts[i], now))
	}
	for i := range s.Events {
		if e := &s.Events[i]; skip > 0 {
			skip--
			h.recent.skip()
		} else {
			h.recent.push(newEvent(h.grids.of(e.Stream, at).id, e, now))
		}
	}
}

// count puts the block's scores into their cells and says how many records are anomalies.
func (h *Hub) count(s Seen, at int64) (flagged int) {
	for i := 0; i < len(s.Verdicts); {
		// Records of one stream mostly come together.
		var sum column
		from, stream := i, s.Records[i].Stream
		for ; i < len(s.Verdicts) && s.Records[i].Stream == stream; i++ {
			v := &s.Verdicts[i]
			sum.records[rowOf(v.Score)]++
			if v.Anomaly {
				sum.anomalies++
			}
		}
		flagged += int(sum.anomalies)
		h.grids.of(stream, at).add(at, &sum, i-from)
		h.grids.all.add(at, &sum, i-from)
	}
	for i := range s.Events {
		sum := column{anomalies: 1}
		h.grids.of(s.Events[i].Stream, at).add(at, &sum, 0)
		h.grids.all.add(at, &sum, 0)
	}
	return flagged
}

// Close sends the browsers away and waits for them until ctx ends.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	for c := range h.clients {
		c.leave()
	}
	h.mu.Unlock()
	done := make(chan struct{})
	go func() { h.serving.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	for c := range h.clients {
		c.cut()
	}
	h.mu.Unlock()
	<-done
	return ctx.Err()
}

// enter lets a browser in; false: there are too many, or the hub is closed.
func (h *Hub) enter(c *client) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	if len(h.clients) >= clientsMax {
		if !h.full {
			h.full = true
			h.cfg.Log.Warn(fmt.Sprintf(msgClients, clientsMax))
		}
		return false
	}
	c.next = h.recent.first()
	h.clients[c] = struct{}{}
	h.serving.Add(1)
	return true
}

func (h *Hub) exit(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
	h.full = false
	h.serving.Done()
}

// find returns an anomaly that is still held.
func (h *Hub) find(id uint64) *Anomaly {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.recent.at(id)
}

// knows says whether an origin is one of those given.
func (h *Hub) knows(origin string) bool { return slices.Contains(h.cfg.Origins, origin) }
