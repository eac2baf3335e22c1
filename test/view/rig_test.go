// Package view looks at the live view with a real browser: Debian's Chromium, without a window.
// Without one on PATH its tests are skipped.
package view

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/pipeline"
	"github.com/logscope/logscope/plugin/view"
	"github.com/logscope/logscope/test/demo/shoplog"
)

// browserNames are what Chromium is called, in the order of preference.
var browserNames = []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"}

// testTimeout bounds one test with its browser.
const testTimeout = 90 * time.Second

// tab is one window of the browser, and what it said.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	faults   []string // exceptions, console errors, refused by policy
	requests []string
	dialogs  int
}

// TestView runs all tests of the page in one browser, each in a window and with cookies of its own.
func TestView(t *testing.T) {
	browser := ""
	for _, name := range browserNames {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skipf("no browser on PATH (%s): apt-get install chromium", strings.Join(browserNames, ", "))
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("lang", "en"), chromedp.Env("TZ=UTC"))
	ctx, cancelAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancelAlloc()
	ctx, cancelBrowser := chromedp.NewContext(ctx)
	defer cancelBrowser()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("cannot start %s: %v", browser, err)
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *tab)
	}{
		{"Shop", testShop}, {"FilterAndPause", testFilterAndPause}, {"AFloodIsTold", testAFloodIsTold}, {"ItConnectsAgain", testItConnectsAgain},
		{"ByKeyboard", testByKeyboard}, {"ByScreenReader", testByScreenReader}, {"Contrast", testContrast}, {"MotionIsReduced", testMotionIsReduced},
		{"StoredXSS", testStoredXSS}, {"ThePolicyHolds", testThePolicyHolds}, {"AnotherSite", testAnotherSite},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancelTab := chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
			defer cancelTab()
			ctx, cancelTime := context.WithTimeout(ctx, testTimeout)
			defer cancelTime()
			b := &tab{t: t, ctx: ctx}
			if err := chromedp.Listen(ctx, b.listen); err != nil {
				t.Fatal(err)
			}
			call(b, network.Enable, network.EnableParams{})
			call(b, log.Enable, cdp.Empty{})
			test.run(t, b)
		})
	}
}

// call sends one command of the browser's protocol.
func call[P, R any](b *tab, cmd cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, cmd, params)
	if err != nil {
		b.t.Fatalf("the browser: %v", err)
	}
	return result
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.faults = append(b.faults, e.Entry.Text+" "+e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *network.EventWebSocketCreated:
		b.requests = append(b.requests, e.URL)
	case *page.EventJavascriptDialogOpening:
		b.dialogs++
		go func() {
			_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}()
	}
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("the browser: %v; it said %q", err, b.said())
	}
}

func (b *tab) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.faults)
}

// size sets the window's size and what the user prefers.
func (b *tab) size(width, height int64, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// goTo opens the page and waits until it is live.
func (b *tab) goTo(url string) {
	b.t.Helper()
	b.run(chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS(`#link[data-state="live"]`)))
}

// waitFor waits until an expression is true in the page.
func (b *tab) waitFor(expression string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool]("(() => { try { return !!("+expression+"); } catch { return false; } })()", chromedp.WithPollingTimeout(20*time.Second))); err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText.slice(0, 2000)`))
		b.t.Fatalf("waiting for %s: %v; the page: %s; it said %q", expression, err, text, b.said())
	}
}

// value returns what an expression is in the page.
func value[T any](b *tab, expression string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, options...))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// choose sets a filter, to an option that begins with the text or to the text itself.
func (b *tab) choose(id, text string) {
	b.t.Helper()
	value[any](b, fmt.Sprintf(`(() => {
		const box = document.getElementById(%q);
		if (box.options) box.selectedIndex = [...box.options].findIndex((o) => o.textContent.startsWith(%q));
		else box.value = %q;
		box.dispatchEvent(new Event("input", { bubbles: true }));
	})()`, id, text, text))
}

// heard says whether the browser said this.
func (b *tab) heard(text string) bool {
	return slices.ContainsFunc(b.said(), func(fault string) bool { return strings.Contains(fault, text) })
}

// noFaults fails if anything went wrong in the page, or went elsewhere.
func (b *tab) noFaults(server string) {
	b.t.Helper()
	b.noFaultsBut(server)
}

// noFaultsBut is noFaults, where some are wanted.
func (b *tab) noFaultsBut(server string, wanted ...string) {
	b.t.Helper()
	for _, fault := range b.said() {
		if !slices.ContainsFunc(wanted, func(w string) bool { return strings.Contains(fault, w) }) {
			b.t.Errorf("the browser said: %s", fault)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	own := strings.TrimPrefix(server, "http://")
	for _, url := range b.requests {
		if !strings.HasPrefix(url, "http://"+own) && !strings.HasPrefix(url, "ws://"+own) {
			b.t.Errorf("the page asked for %s; want nothing from elsewhere", url)
		}
	}
	if b.dialogs > 0 {
		b.t.Errorf("got %d dialogs; want none", b.dialogs)
	}
}

// screenshot writes what the window shows into build/screenshots, as test output.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	dir := filepath.Join("..", "..", "build", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// shop is a hub with the recorded shop's logs, scored as they would have been: whatever came within
// a second is one block.
type shop struct {
	hub    *view.Hub
	server *httptest.Server

	mu     sync.Mutex
	engine *engine.Engine
	now    time.Time
	taught []*view.Anomaly
}

// clock is the recording's time.
func (s *shop) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func newShop(t *testing.T) *shop {
	t.Helper()
	cfg := engine.DefaultConfig()
	e, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{engine: e}
	s.hub, err = view.New(view.Config{Threshold: cfg.Threshold, Score: s.score, Feedback: s.teach, Now: s.clock})
	if err != nil {
		t.Fatal(err)
	}
	s.server = serve(t, s.hub)
	return s
}

// handlers are what the servers of the tests serve now, by address.
var handlers sync.Map

// serve serves a hub on loopback until the test ends.
func serve(t *testing.T, hub *view.Hub) *httptest.Server {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := handlers.Load(r.Host); ok {
			h.(http.Handler).ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	replace(t, server.URL, hub)
	return server
}

// replace serves another hub at an address from now on.
func replace(t *testing.T, url string, hub *view.Hub) {
	handlers.Store(strings.TrimPrefix(url, "http://"), hub.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := hub.Close(ctx); err != nil {
			t.Errorf("closing the hub: %v", err)
		}
	})
}

// elsewhere serves an empty page of another origin.
func elsewhere(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><body>elsewhere"))
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

func (s *shop) score(_ context.Context, stream string, line []byte) (engine.Verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.engine.Rescore(nil, []engine.Record{{Stream: stream, Line: line}})[0]
	if v.Template == "" && v.Score == 0 {
		return v, pipeline.ErrNoModel
	}
	return v, nil
}

func (s *shop) teach(_ context.Context, a *view.Anomaly) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taught = append(s.taught, a)
	return "From now on lines like this one are normal in " + a.Stream + ".", nil
}

// replay scores the recording but for its end, and returns the blocks that are left.
func (s *shop) replay(t *testing.T, end time.Duration) (rest [][]engine.Record) {
	t.Helper()
	recording, err := shoplog.Load(0)
	if err != nil {
		t.Fatal(err)
	}
	var all []engine.Record
	for _, l := range recording.Logs {
		for _, line := range l.Lines {
			all = append(all, engine.Record{Stream: l.Name, Time: line.Time.UnixNano(), Line: []byte(line.Text)})
		}
	}
	slices.SortStableFunc(all, func(a, b engine.Record) int { return cmp.Compare(a.Time, b.Time) })
	until := all[len(all)-1].Time - end.Nanoseconds()
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Time/int64(time.Second) == all[0].Time/int64(time.Second) {
			n++
		}
		if end > 0 && all[0].Time > until {
			rest = append(rest, all[:n])
		} else {
			s.block(all[:n])
		}
		all = all[n:]
	}
	return rest
}

// live scores blocks one after the other, twenty times as fast as they came.
func (s *shop) live(blocks [][]engine.Record) {
	tick := time.NewTicker(time.Second / 20)
	defer tick.Stop()
	for _, block := range blocks {
		<-tick.C
		s.block(block)
	}
}

func (s *shop) block(records []engine.Record) {
	s.mu.Lock()
	s.now = time.Unix(0, records[len(records)-1].Time)
	verdicts := s.engine.Score(nil, records)
	events := s.engine.Events(nil)
	s.mu.Unlock()
	s.hub.Observe(view.Seen{Records: records, Verdicts: verdicts, Events: events})
}
