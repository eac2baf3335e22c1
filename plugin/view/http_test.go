package view

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/pipeline"
)

// do sends a request to a server; header is "Name: value" lines.
func do(t *testing.T, method, url, body string, header ...string) (status int, text string, head http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Set(name, value); name == "Host" {
			req.Host = value
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data), resp.Header
}

const asJSON = "Content-Type: application/json"

func TestThePageIsServedWithItsPolicy(t *testing.T) {
	_, server := newHub(t, Config{})
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/static/app.js": "text/javascript; charset=utf-8", "/static/theme.js": "text/javascript; charset=utf-8",
		"/static/style.css": "text/css; charset=utf-8", "/static/icon.svg": "image/svg+xml",
	} {
		status, text, head := do(t, "GET", server.URL+path, "")
		if status != 200 || head.Get("Content-Type") != kind || text == "" {
			t.Errorf("%s: got %d, %q; want 200, %q", path, status, head.Get("Content-Type"), kind)
		}
		if got, _, _ := do(t, "GET", server.URL+path, "", "If-None-Match: "+head.Get("ETag")); got != 304 {
			t.Errorf("%s again: got %d; want 304", path, got)
		}
	}
	for _, path := range []string{"/", "/static/app.js", "/nowhere", "/score"} {
		_, _, head := do(t, "GET", server.URL+path, "")
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
			"X-Content-Type-Options":  "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := head.Get(name); got != want {
				t.Errorf("%s: got %s: %q; want %q", path, name, got, want)
			}
		}
	}
	for path, want := range map[string]int{"/nowhere": 404, "/static/": 404, "/static/../view.go": 404, "/score": 405, "/ws": 426} {
		if status, _, _ := do(t, "GET", server.URL+path, ""); status != want {
			t.Errorf("GET %s: got %d; want %d", path, status, want)
		}
	}
}

// TestThePageAsksNobodyElse: no address of another server and no way to make markup of text stands in its files.
func TestThePageAsksNobodyElse(t *testing.T) {
	files, err := static.ReadDir("static")
	if err != nil || len(files) < 8 {
		t.Fatalf("got %d files, %v; want the page", len(files), err)
	}
	bad := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\bon[a-z]+=|https?://|<style|style="|<script>|javascript:|@import|url\(`)
	for _, file := range files {
		data, err := static.ReadFile("static/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), `xmlns="http://www.w3.org/2000/svg"`, "")
		for _, found := range bad.FindAllString(text, -1) {
			t.Errorf("static/%s has %q", file.Name(), found)
		}
	}
}

// TestHosts: a web page elsewhere can give its name this server's address, but not its address as name.
func TestHosts(t *testing.T) {
	_, server := newHub(t, Config{Origins: []string{"https://Logs.example.com:8443"}})
	_, open := newHub(t, Config{AnyHost: true})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:3101": 200, "LOCALHOST": 200, "localhost.:80": 200, "127.0.0.1:3101": 200, "[::1]:3101": 200, "[::1]": 200, "10.1.2.3": 200,
		"logs.example.com": 200, "logs.example.com:8443": 200, "evil.example": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example:80": 403, "evil.example:3101": 403,
	} {
		for _, path := range []string{"/", "/static/app.js"} {
			if status, text, _ := do(t, "GET", server.URL+path, "", "Host: "+host); status != want {
				t.Errorf("%s as %s: got %d, %s; want %d", path, host, status, text, want)
			}
		}
		if status, _, _ := do(t, "GET", open.URL+"/", "", "Host: "+host); status != 200 {
			t.Errorf("%s: got %d; want 200 behind authentication", host, status)
		}
		if status, _, _ := do(t, "POST", server.URL+"/score", `{}`, "Host: "+host, asJSON); status == 501 != (want == 200) {
			t.Errorf("POST as %s: got %d; want it let through only where the page is", host, status)
		}
	}
}

func TestOtherSitesMayNotAsk(t *testing.T) {
	_, server := newHub(t, Config{
		Origins: []string{"https://Logs.example.com:443"},
		Score: func(context.Context, string, []byte) (engine.Verdict, error) {
			return engine.Verdict{Score: 0.1, Template: "x"}, nil
		},
	})
	own := server.URL
	for _, test := range []struct {
		header []string
		want   int
	}{
		{nil, 200}, // no browser
		{[]string{"Origin: " + own}, 200},
		{[]string{"Origin: " + own, "Sec-Fetch-Site: same-origin"}, 200},
		{[]string{"Origin: https://logs.example.com", "Sec-Fetch-Site: cross-site"}, 200},
		{[]string{"Origin: https://evil.example"}, 403},
		{[]string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, 403},
		{[]string{"Origin: https://logs.example.com.evil.example"}, 403},
		{[]string{"Origin: null"}, 403},
		{[]string{"Sec-Fetch-Site: same-site"}, 403},
	} {
		status, text, _ := do(t, "POST", server.URL+"/score", `{"stream":"a","line":"b"}`, append(test.header, asJSON)...)
		if status != test.want {
			t.Errorf("POST with %v: got %d, %s; want %d", test.header, status, text, test.want)
		}
		head := http.Header{}
		for _, h := range test.header {
			name, value, _ := strings.Cut(h, ": ")
			head.Set(name, value)
		}
		if head.Get("Origin") == "" {
			continue // every browser says it when it opens a WebSocket
		}
		conn, _, err := websocket.Dial(t.Context(), strings.Replace(server.URL, "http", "ws", 1)+"/ws", &websocket.DialOptions{HTTPHeader: head})
		if (err == nil) != (test.want == 200) {
			t.Errorf("WebSocket with %v: got %v; want it let in: %v", test.header, err, test.want == 200)
		}
		if err == nil {
			_ = conn.CloseNow()
		}
	}
}

func TestOriginsThatAreNone(t *testing.T) {
	for _, origin := range []string{"logs.example.com", "https://", "https://*.example.com", "https://a/b", "ftp://a", "*", "null", ""} {
		if _, err := New(Config{Origins: []string{origin}}); err == nil {
			t.Errorf("%q: got no error", origin)
		}
	}
}

func TestScoringByHand(t *testing.T) {
	var asked []string
	_, server := newHub(t, Config{Score: func(_ context.Context, stream string, line []byte) (engine.Verdict, error) {
		asked = append(asked, stream+"|"+string(line))
		switch stream {
		case "unknown":
			return engine.Verdict{}, fmt.Errorf("no: %w", pipeline.ErrNoModel)
		case "broken":
			return engine.Verdict{}, errors.New("secret of the house")
		case "off":
			return engine.Verdict{}, pipeline.ErrNoScoring
		}
		return engine.Verdict{Score: 0.75, Anomaly: true, Reason: engine.ReasonNovelty, Explanation: "<b>new</b>"}, nil
	}})
	long := strings.Repeat("x", lineMax+1)
	for _, test := range []struct {
		body, header string
		status       int
		want         string
	}{
		{`{"stream":"api","line":"hello\n"}`, asJSON, 200, `{"score":0.75,"anomaly":true,"reason":"novelty","explanation":"\u003cb\u003enew\u003c/b\u003e"}`},
		{`{"stream":"api","line":"x"}`, asJSON + "; charset=utf-8", 200, `"score"`},
		{`{"stream":"unknown","line":"x"}`, asJSON, 404, "nothing is known of"},
		{`{"stream":"off","line":"x"}`, asJSON, 501, "option score is off"},
		{`{"stream":"broken","line":"x"}`, asJSON, 500, "could not be scored"},
		{`{"stream":"api","line":""}`, asJSON, 400, "there is no line"},
		{`{"stream":"","line":"x"}`, asJSON, 400, "which service"},
		{`{"stream":"api","line":"x","learn":true}`, asJSON, 400, "unknown field"},
		{`{`, asJSON, 400, "as JSON"},
		{``, asJSON, 400, "as JSON"},
		{`[]`, asJSON, 400, "as JSON"},
		{`{"stream":"api","line":"` + long + `"}`, asJSON, 413, "at most"},
		{`{"stream":"api","line":"` + strings.Repeat(long, 8) + `"}`, asJSON, 413, "more than"},
		{`{"stream":"api","line":"x"}`, "Content-Type: text/plain", 415, "application/json"},
		{`{"stream":"api","line":"x"}`, "X: y", 415, "application/json"},
	} {
		status, text, head := do(t, "POST", server.URL+"/score", test.body, test.header)
		if status != test.status || !strings.Contains(text, test.want) {
			t.Errorf("%.60s: got %d, %s; want %d, %s", test.body, status, text, test.status, test.want)
		}
		if strings.Contains(text, "secret") || head.Get("Cache-Control") != "no-store" || head.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%.60s: got %v, %s; want JSON that nobody keeps, without what is not for the page", test.body, head, text)
		}
	}
	if len(asked) != 5 || asked[0] != "api|hello" {
		t.Errorf("got asked %q; want only what was right", asked)
	}
}

func TestAsksAreBounded(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	_, server := newHub(t, Config{Score: func(context.Context, string, []byte) (engine.Verdict, error) {
		begun <- struct{}{}
		<-release
		return engine.Verdict{}, nil
	}})
	done := make(chan int, asksMax)
	for range asksMax {
		go func() {
			resp, err := http.Post(server.URL+"/score", "application/json", strings.NewReader(`{"stream":"a","line":"b"}`))
			if err != nil {
				done <- 0
				return
			}
			_ = resp.Body.Close()
			done <- resp.StatusCode
		}()
		<-begun
	}
	if status, _, head := do(t, "POST", server.URL+"/score", `{"stream":"a","line":"b"}`, asJSON); status != 429 || head.Get("Retry-After") == "" {
		t.Errorf("got %d; want 429 and when to try again", status)
	}
	close(release)
	for range asksMax {
		if status := <-done; status != 200 {
			t.Errorf("got %d; want 200", status)
		}
	}
}

func TestFeedback(t *testing.T) {
	_, without := newHub(t, Config{})
	if status, text, _ := do(t, "POST", without.URL+"/feedback", `{"id":1}`, asJSON); status != 501 || !strings.Contains(text, "not available here") {
		t.Errorf("got %d, %s; want 501 with a reason", status, text)
	}
	if status, text, _ := do(t, "POST", without.URL+"/score", `{"stream":"a","line":"b"}`, asJSON); status != 501 || !strings.Contains(text, "here") {
		t.Errorf("got %d, %s; want 501 with a reason", status, text)
	}
	var taught *Anomaly
	var fail error
	h, server := newHub(t, Config{Feedback: func(_ context.Context, a *Anomaly) (string, error) {
		taught = a
		return "learned", fail
	}})
	h.Observe(block("api", 0.1, 0.8))
	if status, text, _ := do(t, "POST", server.URL+"/feedback", `{"id":1}`, asJSON); status != 200 || text != `{"said":"learned"}`+"\n" {
		t.Errorf("got %d, %s; want what was said", status, text)
	}
	if taught == nil || taught.Stream != "api" || taught.Line != "line 1" || taught.Score != 0.8 || taught.TemplateID != 7 {
		t.Errorf("got %+v taught; want the anomaly as it was scored", taught)
	}
	if status, text, _ := do(t, "POST", server.URL+"/feedback", `{"id":2}`, asJSON); status != 410 {
		t.Errorf("got %d, %s; want 410: there is no such anomaly", status, text)
	}
	fail = fmt.Errorf("%w: it has no template", ErrRefused)
	if status, text, _ := do(t, "POST", server.URL+"/feedback", `{"id":1}`, asJSON); status != 409 || !strings.Contains(text, "no template") {
		t.Errorf("got %d, %s; want 409 with the reason", status, text)
	}
	fail = errors.New("disk on fire")
	if status, text, _ := do(t, "POST", server.URL+"/feedback", `{"id":1}`, asJSON); status != 500 || strings.Contains(text, "fire") {
		t.Errorf("got %d, %s; want 500 without the cause", status, text)
	}
	if status, _, _ := do(t, "POST", server.URL+"/feedback", `{"id":1}`, asJSON, "Origin: https://evil.example"); status != 403 {
		t.Errorf("got %d; want 403 for another site", status)
	}
}

// FuzzScore: whatever is posted, the answer is JSON that holds no markup, and no fault.
func FuzzScore(f *testing.F) {
	h, err := New(Config{Score: func(_ context.Context, stream string, line []byte) (engine.Verdict, error) {
		return engine.Verdict{Score: 0.5, Expected: stream, Observed: string(line)}, nil
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"stream":"api","line":"<script>"}`))
	f.Add([]byte(`{"stream":"\ud800","line":"\u0000"}`))
	f.Add([]byte(`{"line":1e999}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "http://localhost/score", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		h.Handler().ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 400 && w.Code != 413 {
			t.Errorf("got %d; want 200, 400 or 413", w.Code)
		}
		if text := w.Body.Bytes(); !json.Valid(text) || bytes.ContainsAny(text, "<>&") || !utf8.Valid(text) {
			t.Errorf("got %q; want JSON without markup", text)
		}
	})
}

// FuzzFrame: whatever a log has, a frame is JSON that holds no markup.
func FuzzFrame(f *testing.F) {
	f.Add("api", []byte("<script>alert(1)</script>"), "</b>&amp;")
	f.Add("\xff", []byte("\x00\xc3("), "\u2028")
	f.Fuzz(func(t *testing.T, stream string, line []byte, text string) {
		h, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		h.Observe(Seen{
			Records:  []engine.Record{{Stream: stream, Line: line}},
			Verdicts: []engine.Verdict{{Anomaly: true, Score: 0.9, Template: text, Explanation: text, Expected: text, Observed: text, Session: text}},
			Events:   []engine.Event{{Stream: text}},
		})
		var d draft
		h.draw(&client{next: 1}, &d)
		data, err := d.encode()
		if err != nil || !json.Valid(data) || bytes.ContainsAny(data, "<>&") || !utf8.Valid(data) {
			t.Errorf("got %q, %v; want JSON without markup", data, err)
		}
		var back frame
		if err := json.Unmarshal(data, &back); err != nil || len(back.New) != 2 {
			t.Errorf("got %d anomalies, %v; want 2", len(back.New), err)
		}
	})
}
