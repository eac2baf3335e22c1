package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/view"
)

// testShop shows the recorded shop, its last half minute live, and writes the screenshots of
// docs/live-view.md.
func testShop(t *testing.T, b *tab) {
	s := newShop(t)
	rest := s.replay(t, 30*time.Second)
	b.size(1180, 700, true)
	b.goTo(s.server.URL)
	b.waitFor(`document.querySelectorAll("#list > li").length > 10`)
	s.live(rest)
	b.waitFor(`document.getElementById("records").textContent === "27,525" && document.getElementById("rate").textContent !== "–"`)
	b.run(chromedp.Click(chromedp.CSS(`#list > li:nth-child(2) .open`)))
	b.run(chromedp.SetValue(chromedp.CSS("#ask-stream"), "postgres"), chromedp.SendKeys(chromedp.CSS("#ask-line"),
		"2026-11-25 14:01:40.112 UTC [2697] orders@shop/orders LOG:  duration: 912.004 ms  statement: SELECT id, customer, product, price, placed FROM orders WHERE id = 99"))
	b.run(chromedp.Click(chromedp.CSS("#ask-go")))
	b.waitFor(`document.getElementById("ask-answer").textContent.includes("Anomaly: parameter")`)
	b.run(chromedp.Blur(chromedp.CSS("#ask-line")))
	b.screenshot("live-view-dark")
	b.size(1180, 700, false)
	b.screenshot("live-view-light")
	b.size(390, 844, true)
	b.screenshot("live-view-phone")
	for _, width := range []int64{1280, 721, 390, 320} {
		b.size(width, 800, true)
		if over := value[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("at %d px the page is %d px too wide", width, over)
		}
	}
	b.noFaults(s.server.URL)
}

// known is a hub with a handful of anomalies.
func known(t *testing.T, cfg view.Config) (hub *view.Hub, url string) {
	cfg.Threshold = 0.5
	hub, err := view.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return hub, serve(t, hub).URL
}

// flagged makes a block with one anomaly.
func flagged(stream string, score float64, reason engine.Reason, line string) view.Seen {
	return view.Seen{
		Records: []engine.Record{{Stream: stream, Line: []byte(line)}},
		Verdicts: []engine.Verdict{{
			Score: score, Anomaly: true, Reason: reason, TemplateID: uint64(len(line)), Template: "template of " + line, Explanation: "about " + line,
		}},
	}
}

const shownLines = `[...document.querySelectorAll("#list .line")].map((l) => l.textContent)`

func testFilterAndPause(t *testing.T, b *tab) {
	hub, url := known(t, view.Config{})
	hub.Observe(flagged("api", 0.6, engine.ReasonNovelty, "one"))
	hub.Observe(flagged("api", 0.95, engine.ReasonFrequency, "two words"))
	hub.Observe(flagged("db", 0.7, engine.ReasonNovelty, "three words"))
	b.goTo(url)
	b.waitFor(shownLines + `.length === 3`)
	check := func(what string, want ...string) {
		t.Helper()
		b.waitFor(shownLines + fmt.Sprintf(".length === %d", len(want)))
		if diff := cmp.Diff(want, value[[]string](b, shownLines), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("all, newest first", "three words", "two words", "one")
	b.choose("by-stream", "api")
	check("of api", "two words", "one")
	b.waitFor(`document.getElementById("heat-of").textContent === "api"`)
	b.choose("by-reason", "novelty")
	check("novelties of api", "one")
	b.run(chromedp.Click(chromedp.CSS("#clear")))
	check("cleared", "three words", "two words", "one")
	b.choose("by-score", "0.7")
	check("from 0.7 on", "three words", "two words")
	b.choose("by-text", "WORDS two")
	check("all words, in any order and case", "two words")
	b.choose("by-text", fmt.Sprintf("%016x", len("three words")))
	check("by template id", "three words")
	b.choose("by-text", "nowhere")
	check("nothing")
	if got := value[string](b, `document.getElementById("empty").textContent`); got != "None of the last 3 passes these filters." {
		t.Errorf("got %q", got)
	}
	b.run(chromedp.Click(chromedp.CSS("#clear")), chromedp.Click(chromedp.CSS("#pause")))
	hub.Observe(flagged("web", 0.8, engine.ReasonAccess, "four"))
	b.waitFor(`document.getElementById("pause").textContent === "Resume, 1 new"`)
	check("paused", "three words", "two words", "one")
	b.run(chromedp.Click(chromedp.CSS("#pause")))
	check("resumed", "four", "three words", "two words", "one")
	b.noFaults(url)
}

// testAFloodIsTold: more at once than is held.
func testAFloodIsTold(t *testing.T, b *tab) {
	hub, url := known(t, view.Config{})
	b.goTo(url)
	one := flagged("api", 0.9, engine.ReasonNovelty, "flood")
	var flood view.Seen
	for range 700 {
		flood.Records, flood.Verdicts = append(flood.Records, one.Records[0]), append(flood.Verdicts, one.Verdicts[0])
	}
	hub.Observe(flood)
	b.waitFor(`document.getElementById("shown").textContent === "the last 500"`)
	if got, want := value[string](b, `document.getElementById("lost").textContent`), "200 anomalies came faster than this browser could take them."; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if rows := value[int](b, `document.querySelectorAll("#list > li").length`); rows != 250 {
		t.Errorf("got %d rows in the page; want 250 at most", rows)
	}
	b.noFaults(url)
}

func testItConnectsAgain(t *testing.T, b *tab) {
	hub, url := known(t, view.Config{})
	hub.Observe(flagged("api", 0.6, engine.ReasonNovelty, "before"))
	hub.Observe(flagged("db", 0.6, engine.ReasonNovelty, "before, too"))
	b.goTo(url)
	b.waitFor(shownLines + `.length === 2`)
	b.choose("by-stream", "db")
	b.waitFor(shownLines + `.length === 1`)
	if err := hub.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.waitFor(`document.getElementById("link").dataset.state === "waiting"`)
	if got := value[string](b, `document.getElementById("link-text").textContent`); !strings.HasPrefix(got, "Not connected") {
		t.Errorf("got %q; want it to say that it is not connected", got)
	}
	value[any](b, `fetch("ws")`) // refused while nobody is there: told by the state alone
	after, err := view.New(view.Config{Threshold: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	replace(t, url, after)
	// The services come in another order now, so they have other numbers.
	after.Observe(flagged("web", 0.6, engine.ReasonNovelty, "after, elsewhere"))
	after.Observe(flagged("api", 0.6, engine.ReasonNovelty, "after, elsewhere"))
	after.Observe(flagged("db", 0.6, engine.ReasonNovelty, "after"))
	b.waitFor(`document.getElementById("link").dataset.state === "live" && ` + shownLines + `.join() === "after"`)
	b.waitFor(`document.getElementById("heat-of").textContent === "db" && document.getElementById("by-stream").selectedOptions[0].dataset.name === "db"`)
}

// testByKeyboard reaches and works everything without a mouse.
func testByKeyboard(t *testing.T, b *tab) {
	s := newShop(t)
	s.replay(t, 0)
	b.goTo(s.server.URL)
	b.waitFor(`document.querySelectorAll("#list > li").length > 10`)
	focused := `(() => { const e = document.activeElement; return e.id || e.className || e.tagName; })()`
	var order []string
	for len(order) < 12 {
		b.run(chromedp.KeyEvent(kb.Tab))
		order = append(order, value[string](b, focused))
	}
	if diff := cmp.Diff([]string{"skip", "pause", "theme", "heat", "SUMMARY", "by-stream", "by-reason", "by-score", "by-text", "clear", "open", "open"}, order); diff != "" {
		t.Errorf("order of focus (-want +got):\n%s", diff)
	}
	if outline := value[string](b, `getComputedStyle(document.activeElement).outlineStyle`); outline != "solid" {
		t.Errorf("got outline %q; want the focus to be seen", outline)
	}
	b.run(chromedp.KeyEvent(kb.Enter))
	b.waitFor(`document.activeElement.getAttribute("aria-expanded") === "true"`)
	var details []string
	for range 3 {
		b.run(chromedp.KeyEvent(kb.Tab))
		details = append(details, value[string](b, `document.activeElement.textContent`))
	}
	if diff := cmp.Diff([]string{"Only this template", "Copy line", "Mark as normal"}, details); diff != "" {
		t.Errorf("inside an anomaly (-want +got):\n%s", diff)
	}
	b.run(chromedp.KeyEvent(kb.Enter))
	b.waitFor(`document.querySelector(".is-normal .said").textContent.startsWith("From now on")`)
	if len(s.taught) != 1 {
		t.Errorf("got %d anomalies taught; want 1", len(s.taught))
	}
	b.run(chromedp.Focus(chromedp.CSS("#heat")), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.ArrowUp))
	if got := value[string](b, `document.getElementById("readout").textContent`); !strings.Contains(got, "score 0.6–0.7: ") {
		t.Errorf("got %q; want the cell to be read", got)
	}
	b.run(chromedp.Focus(chromedp.CSS("summary")), chromedp.KeyEvent(" "))
	b.waitFor(`document.querySelectorAll("#table tr").length >= 6`)
	if got, want := value[int](b, `[...document.querySelectorAll("#table td:nth-child(2)")].reduce((n, td) => n + Number(td.textContent.replaceAll(",", "")), 0)`), 27525; got != want {
		t.Errorf("the table has %d records; want %d", got, want)
	}
	b.run(chromedp.Focus(chromedp.CSS(".skip")), chromedp.KeyEvent(kb.Enter))
	if got := value[string](b, focused); got != "anomalies" {
		t.Errorf("skipped to %q; want the anomalies", got)
	}
	b.noFaults(s.server.URL)
}

// testByScreenReader: all that can be operated has a name, and news are told seldom.
func testByScreenReader(t *testing.T, b *tab) {
	s := newShop(t)
	s.replay(t, 0)
	b.goTo(s.server.URL)
	b.waitFor(`document.querySelectorAll("#list > li").length > 10`)
	b.run(chromedp.Click(chromedp.CSS(`#list > li:nth-child(1) .open`)))
	roles := map[string]int{}
	for _, node := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if node.Ignored || node.Role == nil {
			continue
		}
		role, name := strings.Trim(string(node.Role.Value), `"`), ""
		if node.Name != nil {
			name = strings.Trim(string(node.Name.Value), `"`)
		}
		roles[role]++
		if slices.Contains([]string{"button", "combobox", "slider", "searchbox", "textbox", "link", "region", "heading", "table", "form"}, role) && strings.TrimSpace(name) == "" {
			t.Errorf("a %s has no name", role)
		}
	}
	for role, least := range map[string]int{"button": 10, "combobox": 3, "slider": 1, "searchbox": 1, "region": 3, "listitem": 10, "banner": 1, "main": 1, "heading": 4} {
		if roles[role] < least {
			t.Errorf("got %d of role %s; want %d or more: %v", roles[role], role, least, roles)
		}
	}
	value[any](b, `window.told = []; new MutationObserver(() => told.push(document.getElementById("status").textContent)).observe(document.getElementById("status"), { childList: true })`)
	for i := range 40 {
		s.hub.Observe(flagged("api", 0.9, engine.ReasonNovelty, fmt.Sprint("news ", i)))
		b.waitFor(fmt.Sprintf(`%s[0] === "news %d"`, shownLines, i))
	}
	b.waitFor(`told.length > 0`)
	if told := value[[]string](b, `told`); len(told) != 1 || !strings.Contains(told[0], "highest score 0.90 in api.") {
		t.Errorf("got told %q; want one sentence for all of it", told)
	}
}

// testContrast: text has a contrast of 4.5 or more in both themes (WCAG AA), whatever is open.
func testContrast(t *testing.T, b *tab) {
	s := newShop(t)
	s.replay(t, 0)
	for _, dark := range []bool{false, true} {
		b.size(1280, 900, dark)
		b.goTo(s.server.URL)
		b.waitFor(`document.querySelectorAll("#list > li").length > 10`)
		b.run(chromedp.Click(chromedp.CSS(`#list > li:nth-child(3) .open`)), chromedp.Click(chromedp.CSS("summary")), chromedp.Click(chromedp.CSS("#pause")))
		weak := value[[]string](b, contrast)
		for _, w := range weak {
			t.Errorf("dark %v: %s", dark, w)
		}
		if texts := value[int](b, `textsSeen`); texts < 100 {
			t.Errorf("got %d texts looked at; want all", texts)
		}
	}
	// Who chose a theme keeps it, whatever the system says.
	b.run(chromedp.Click(chromedp.CSS("#theme")), chromedp.Reload())
	b.waitFor(`document.documentElement.dataset.theme === "light"`)
	if got := value[string](b, `getComputedStyle(document.body).colorScheme + getComputedStyle(document.body).backgroundColor`); got != "lightrgb(244, 245, 247)" {
		t.Errorf("got %s; want the light theme on a dark system", got)
	}
}

// contrast lists texts whose contrast with what is behind them is too weak.
const contrast = `(() => {
	const parse = (c) => c.match(/[\d.]+/g).map(Number);
	const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
	const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c.length === 3 || c[3] === 1) return c;
		}
		return [255, 255, 255];
	};
	const weak = [];
	window.textsSeen = 0;
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n = walk.nextNode(); n; n = walk.nextNode()) {
		const e = n.parentElement;
		if (!n.textContent.trim() || !e.checkVisibility() || e.closest("noscript, option, :disabled")) continue;
		window.textsSeen++;
		const a = light(parse(getComputedStyle(e).color)), z = light(behind(e));
		const ratio = (Math.max(a, z) + 0.05) / (Math.min(a, z) + 0.05);
		if (ratio < 4.5) weak.push(e.className + " " + n.textContent.slice(0, 40) + ": " + ratio.toFixed(2));
	}
	return weak;
})()`

func testMotionIsReduced(t *testing.T, b *tab) {
	hub, url := known(t, view.Config{})
	hub.Observe(flagged("api", 0.6, engine.ReasonNovelty, "x"))
	b.goTo(url)
	b.waitFor(shownLines + `.length === 1`)
	name := `getComputedStyle(document.querySelector("#list > li")).animationName`
	if got := value[string](b, name); got != "come" {
		t.Errorf("got animation %q; want come", got)
	}
	b.size(800, 600, true) // which asks for less motion, too
	if got := value[string](b, name); got != "none" {
		t.Errorf("got animation %q; want none where less motion is asked for", got)
	}
}
