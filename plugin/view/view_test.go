package view

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/logscope/logscope/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for.
const patience = 20 * time.Second

// stopped is a clock that a test moves by hand.
type stopped struct {
	mu  sync.Mutex
	now time.Time
}

func (c *stopped) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stopped) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

var noon = time.Unix(1_764_072_000, 0)

// newHub serves a hub until the test ends.
func newHub(t testing.TB, cfg Config) (*Hub, *httptest.Server) {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
		server.Close()
	})
	return h, server
}

// browser is one that reads what it is sent.
type browser struct {
	t    testing.TB
	conn *websocket.Conn
}

func dial(t testing.TB, server *httptest.Server) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(server.URL, "http", "ws", 1)+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &browser{t, conn}
}

func (b *browser) frame() frame {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := b.conn.Read(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	var f frame
	if err := json.Unmarshal(data, &f); err != nil {
		b.t.Fatalf("%v in %s", err, data)
	}
	return f
}

// until reads frames up to one that is what the test waits for.
func (b *browser) until(done func(frame) bool) frame {
	b.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if f := b.frame(); done(f) {
			return f
		}
	}
	b.t.Fatal("the frame that was waited for did not come")
	return frame{}
}

func (b *browser) send(text string) {
	b.t.Helper()
	if err := b.conn.Write(b.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		b.t.Fatal(err)
	}
}

// block makes a block of records of one stream with these scores; from 0.5 on they are anomalies.
func block(stream string, scores ...float64) (s Seen) {
	for i, score := range scores {
		rec := engine.Record{Stream: stream, Time: noon.UnixNano() + int64(i), Line: fmt.Appendf(nil, "line %d", i)}
		v := engine.Verdict{Score: score, Time: rec.Time, TemplateID: 7, Template: "line <*>"}
		if score >= 0.5 {
			v.Anomaly, v.Reason, v.Explanation = true, engine.ReasonNovelty, "first line like this"
			v.Expected, v.Observed, v.Session = "nothing", "this", "s1"
		}
		s.Records, s.Verdicts = append(s.Records, rec), append(s.Verdicts, v)
	}
	return s
}

func TestABrowserSeesWhatWasScored(t *testing.T) {
	clock := &stopped{now: noon}
	h, server := newHub(t, Config{Threshold: 0.5, Now: clock.Now})
	h.Observe(block("api", 0.05, 0.07, 0.31, 0.72, 1))
	h.Observe(block("db", 0.2))
	b := dial(t, server)
	at := noon.Unix() / 10
	got := b.frame()
	want := frame{
		Hello: &hello{
			Columns: 360, ColumnSeconds: 10, Rows: 10, Threshold: 0.5, Keep: 500,
			Reasons: []string{"novelty", "frequency", "silence", "parameter", "sequence", "incomplete", "access", "drift", "fleet"},
		},
		Now: noon.UnixMilli(), Records: 6, Anomalies: 2, Whole: true,
		Columns: [][]int64{{at, 2, 2, 0, 1, 1, 0, 0, 0, 1, 0, 1}},
		Streams: []streamShown{{2, "api", 5, 2}, {3, "db", 1, 0}},
		New: []*anomalyShown{
			{ID: 1, Grid: 2, Stream: "api", Time: noon.UnixMilli(), Arrived: noon.UnixMilli(), Score: 0.72, Reason: "novelty", Line: "line 3",
				TemplateID: "0000000000000007", Template: "line <*>", Explanation: "first line like this", Expected: "nothing", Observed: "this", Session: "s1"},
			{ID: 2, Grid: 2, Stream: "api", Time: noon.UnixMilli(), Arrived: noon.UnixMilli(), Score: 1, Reason: "novelty", Line: "line 4",
				TemplateID: "0000000000000007", Template: "line <*>", Explanation: "first line like this", Expected: "nothing", Observed: "this", Session: "s1"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("first frame (-want +got):\n%s", diff)
	}

	clock.set(noon.Add(columnTime))
	event := engine.Event{Kind: engine.EventSilence, Stream: "db", Verdict: engine.Verdict{Score: 0.6, Reason: engine.ReasonSilence, Explanation: "nothing for 5m"}}
	h.Observe(Seen{Events: []engine.Event{event}})
	got = b.until(func(f frame) bool { return len(f.New) > 0 })
	if a := got.New[0]; a.Event != "silence" || a.Reason != "silence" || a.Line != "" || a.Stream != "db" || a.ID != 3 {
		t.Errorf("got %+v; want the silence", a)
	}
	if want := [][]int64{{at, 2, 2, 0, 1, 1, 0, 0, 0, 1, 0, 1}, {at + 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}; !cmp.Equal(want, got.Columns) {
		t.Errorf("got columns %v; want the last one as it became, and the new one: %v", got.Columns, want)
	}
}

func TestABrowserChoosesAStream(t *testing.T) {
	clock := &stopped{now: noon}
	h, server := newHub(t, Config{Now: clock.Now})
	h.Observe(block("api", 0.1, 0.1, 0.1))
	h.Observe(block("db", 0.9))
	b := dial(t, server)
	b.frame()
	b.send(`{"watch":3}`)
	got := b.until(func(f frame) bool { return f.Grid == 3 })
	if want := [][]int64{{noon.Unix() / 10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}; !got.Whole || !cmp.Equal(want, got.Columns) {
		t.Errorf("got whole %v, %v; want the columns of db alone: %v", got.Whole, got.Columns, want)
	}
	b.send(`{"watch":77}`)
	if got = b.until(func(f frame) bool { return f.Grid != 3 }); got.Grid != allID || got.Columns[0][3] != 3 {
		t.Errorf("got grid %d, %v; want all streams, as there is no 77", got.Grid, got.Columns)
	}
}

func TestALateBrowserSeesTheLastAnomalies(t *testing.T) {
	h, server := newHub(t, Config{})
	const total = recentMax + 123
	for range total {
		h.Observe(block("api", 0.1, 0.8))
	}
	b := dial(t, server)
	var ids []uint64
	for len(ids) < recentMax {
		f := b.frame()
		for _, a := range f.New {
			ids = append(ids, a.ID)
		}
		if f.Lost != 0 {
			t.Fatalf("got %d lost; what came before a browser is no loss of its own", f.Lost)
		}
	}
	for i, id := range ids {
		if want := uint64(total - recentMax + i + 1); id != want {
			t.Fatalf("got %d at %d; want %d", id, i, want)
		}
	}
}

// TestASlowBrowser does not read while more comes than is held. It holds up nobody, and is told how many it missed.
func TestASlowBrowser(t *testing.T) {
	h, server := newHub(t, Config{})
	h.writeTimeout = time.Minute // the machine may be slow, too
	slow, quick := dial(t, server), dial(t, server)
	slow.frame()
	quick.frame()
	const blocks, each = 80, 100
	scores := make([]float64, each)
	for i := range scores {
		scores[i] = 0.9
	}
	flood := block("api", scores...)
	for i := range flood.Records {
		flood.Records[i].Line = []byte(strings.Repeat("x", 4000)) // 16 MB in frames: more than sockets hold
	}
	var seen uint64
	var longest time.Duration
	for i := range blocks {
		began := time.Now()
		h.Observe(flood)
		longest = max(longest, time.Since(began))
		for seen < uint64((i+1)*each) {
			f := quick.frame()
			seen += uint64(len(f.New))
			if f.Lost > 0 {
				t.Fatalf("the quick one lost %d", f.Lost)
			}
		}
	}
	if longest > time.Second {
		t.Errorf("Observe took %v; want it not to wait for a browser", longest)
	}
	var got, last, lost uint64
	for last < blocks*each {
		f := slow.frame()
		got += uint64(len(f.New))
		for _, a := range f.New {
			if a.ID <= last {
				t.Fatalf("got %d after %d; want them in order, each once", a.ID, last)
			}
			last = a.ID
		}
		lost = f.Lost
	}
	if lost == 0 || got+lost != blocks*each {
		t.Errorf("the slow one got %d and was told of %d lost; want some lost, together %d", got, lost, blocks*each)
	}
}

// TestAStuckBrowserIsSentAway: one that takes nothing keeps no place that another could have.
func TestAStuckBrowserIsSentAway(t *testing.T) {
	h, server := newHub(t, Config{})
	h.writeTimeout = 50 * time.Millisecond
	dial(t, server).frame()
	scores := make([]float64, 100)
	for i := range scores {
		scores[i] = 0.9
	}
	flood := block("api", scores...)
	for i := range flood.Records {
		flood.Records[i].Line = []byte(strings.Repeat("x", 4000))
	}
	left := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.clients)
	}
	for deadline := time.Now().Add(patience); left() > 0; h.Observe(flood) {
		if time.Now().After(deadline) {
			t.Fatal("it still has its place")
		}
	}
}

// TestABlockOfAnomalies: of more than the ring holds only the last are copied; the others count as lost.
func TestABlockOfAnomalies(t *testing.T) {
	h, server := newHub(t, Config{})
	b := dial(t, server)
	b.frame()
	scores := make([]float64, 3*recentMax)
	for i := range scores {
		scores[i] = 0.9
	}
	h.Observe(block("api", scores...))
	got := 0
	var lost uint64
	for got < recentMax {
		f := b.frame()
		got, lost = got+len(f.New), f.Lost
	}
	if got != recentMax || lost != 2*recentMax {
		t.Errorf("got %d and %d lost; want %d and %d", got, lost, recentMax, 2*recentMax)
	}
	if h.find(2*recentMax) != nil || h.find(2*recentMax+1) == nil || h.find(3*recentMax) == nil || h.find(3*recentMax+1) != nil || h.find(0) != nil {
		t.Error("want the last ones held, and no others")
	}
}

func TestTooManyBrowsers(t *testing.T) {
	_, server := newHub(t, Config{})
	var in []*browser
	for range clientsMax {
		b := dial(t, server)
		b.frame()
		in = append(in, b)
	}
	_, answer, err := websocket.Dial(t.Context(), strings.Replace(server.URL, "http", "ws", 1)+"/ws", nil)
	if err == nil || answer == nil || answer.StatusCode != 503 {
		t.Fatalf("got %v; want 503", err)
	}
	_ = in[0].conn.Close(websocket.StatusNormalClosure, "")
	for deadline := time.Now().Add(patience); ; {
		conn, _, err := websocket.Dial(t.Context(), strings.Replace(server.URL, "http", "ws", 1)+"/ws", nil)
		if err == nil {
			_ = conn.CloseNow()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %v; want to be let in when another has left", err)
		}
	}
}

func TestCloseSaysGoodbye(t *testing.T) {
	h, server := newHub(t, Config{})
	b := dial(t, server)
	b.frame()
	done := make(chan error, 1)
	go func() { done <- h.Close(t.Context()) }()
	var err error
	for err == nil {
		_, _, err = b.conn.Read(t.Context())
	}
	if websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v; want a goodbye", err)
	}
	if err := <-done; err != nil {
		t.Errorf("closing: %v", err)
	}
	h.Observe(block("api", 0.9)) // and nothing happens
	if h.find(1) != nil {
		t.Error("a closed hub took an anomaly")
	}
}

// TestCloseCutsWhoDoesNotAnswer ends at the deadline, though a browser reads nothing.
func TestCloseCutsWhoDoesNotAnswer(t *testing.T) {
	h, server := newHub(t, Config{})
	dial(t, server)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := h.Close(ctx); err != nil && err != context.DeadlineExceeded {
		t.Errorf("got %v; want the deadline or nothing", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v; want it to end at the deadline", took)
	}
}

func TestABrowserThatTalksNonsenseIsSentAway(t *testing.T) {
	_, server := newHub(t, Config{})
	for _, text := range []string{"nonsense", `{"watch":-1}`, strings.Repeat(" ", wishBytesMax+1)} {
		b := dial(t, server)
		b.frame()
		b.send(text)
		var err error
		for err == nil {
			_, _, err = b.conn.Read(t.Context())
		}
		if s := websocket.CloseStatus(err); s != websocket.StatusUnsupportedData && s != websocket.StatusMessageTooBig {
			t.Errorf("%.20q: got %v; want to be sent away", text, err)
		}
	}
}

// BenchmarkObserve is what one block of a thousand records costs scoring, when nobody looks and when one does.
func BenchmarkObserve(b *testing.B) {
	for _, anomalies := range []int{0, 10} {
		for _, browsers := range []int{0, 1} {
			b.Run(fmt.Sprintf("anomalies=%d/browsers=%d", anomalies, browsers), func(b *testing.B) {
				h, server := newHub(b, Config{})
				for range browsers {
					br := dial(b, server)
					go func() {
						for {
							if _, _, err := br.conn.Read(context.Background()); err != nil {
								return
							}
						}
					}()
				}
				scores := make([]float64, 1000)
				for i := range anomalies {
					scores[i*100] = 0.9
				}
				s := block("api", scores...)
				b.ReportAllocs()
				for b.Loop() {
					h.Observe(s)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/record")
			})
		}
	}
}
