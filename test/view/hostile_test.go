package view

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/view"
)

// hostile are texts that come alive where a page makes markup of them: each sets window.pwned, opens
// a dialog or asks another server.
var hostile = []string{
	`<script>window.pwned=1</script>`,
	`</code></li></ol><script>window.pwned=1</script>`,
	`<img src=x onerror="window.pwned=1">`,
	`<img src=https://evil.example/pixel.gif>`,
	`<svg onload=window.pwned=1><animate onbegin=window.pwned=1 attributeName=x dur=1s>`,
	`<svg><script href="data:text/javascript,window.pwned=1"/></svg>`,
	`<iframe srcdoc="<script>parent.pwned=1</script>"></iframe>`,
	`<a href="javascript:window.pwned=1" autofocus onfocus="window.pwned=1" tabindex=1>click</a>`,
	`<input autofocus onfocus=window.pwned=1>`,
	`<details open ontoggle=window.pwned=1>`,
	`<body onload=alert(1)>`,
	`<style>@import 'https://evil.example/x.css'; * { background: url(https://evil.example/y) }</style>`,
	`<link rel=stylesheet href=https://evil.example/z.css>`,
	`<meta http-equiv=refresh content="0;url=https://evil.example/">`,
	`<base href=https://evil.example/>`,
	`<form action=https://evil.example/><button>send</button></form>`,
	`<object data=https://evil.example/></object><embed src=https://evil.example/>`,
	`<math><mtext><table><mglyph><style><img src=x onerror=window.pwned=1>`,
	`<template shadowrootmode=open><img src=x onerror=window.pwned=1></template>`,
	`"><script>window.pwned=1</script>`, `'-window.pwned=1-'`, `${window.pwned=1}`, `{{constructor.constructor('window.pwned=1')()}}`,
	`javascript:window.pwned=1`, `</script><script>window.pwned=1</script>`, `<!--><script>window.pwned=1</script>-->`,
	`__proto__`, `constructor`, `]}"); window.pwned=1; //`, "\u2028window.pwned=1\u2029",
	"\x1b[31mred\x1b[0m \x00\x07\b\b\b", "abc\u202egnp.exe\u2066", "\xff\xfe\xc3(", strings.Repeat("<b>", 5000), "a\nb\r\nc\td",
}

// testStoredXSS puts hostile texts into everything that comes from logs, opens and filters it all, and
// looks for anything that came alive.
func testStoredXSS(t *testing.T, b *tab) {
	answer := hostile[0] + hostile[2]
	hub, url := known(t, view.Config{
		Score: func(_ context.Context, stream string, line []byte) (engine.Verdict, error) {
			return engine.Verdict{Score: 0.9, Anomaly: true, Reason: engine.ReasonNovelty, Template: answer, Explanation: answer, Expected: stream, Observed: string(line)}, nil
		},
		Feedback: func(_ context.Context, a *view.Anomaly) (string, error) {
			if a.ID%2 == 0 {
				return "", fmt.Errorf("%w: %w", view.ErrRefused, errors.New(answer))
			}
			return answer, nil
		},
	})
	for i, text := range hostile {
		hub.Observe(view.Seen{
			Records: []engine.Record{{Stream: text, Line: []byte(text)}},
			Verdicts: []engine.Verdict{{
				Score: 0.9, Anomaly: true, Reason: engine.ReasonNovelty, TemplateID: uint64(1 + i), Template: text,
				Explanation: text, Expected: text, Observed: text, Session: text,
			}},
			Events: []engine.Event{{Stream: text, Kind: engine.EventSilence, Verdict: engine.Verdict{Score: 0.9, Reason: engine.ReasonSilence, Explanation: text}}},
		})
	}
	// And as the engine itself makes it of hostile lines.
	e, err := engine.New(engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	var records []engine.Record
	for i := range 3000 {
		records = append(records, engine.Record{Stream: "engine", Time: int64(i) * 1e9, Line: fmt.Appendf(nil, "user %d <b>logged in</b> from <img src=x%d>", i%7, i%5)})
	}
	for i, text := range hostile {
		records = append(records, engine.Record{Stream: "engine", Time: int64(4000+i*600) * 1e9, Line: []byte("failed " + text)})
	}
	verdicts := e.Score(nil, records)
	hub.Observe(view.Seen{Records: records, Verdicts: verdicts, Events: e.Events(nil)})

	b.goTo(url)
	b.waitFor(fmt.Sprintf(`document.querySelectorAll("#list > li").length >= %d`, 2*len(hostile)))
	value[any](b, `document.querySelectorAll("#list .open").forEach((o) => o.click())`)
	value[any](b, `document.querySelectorAll("#list .buttons button:last-child").forEach((o) => o.click())`)
	value[any](b, `(() => {
		const box = document.getElementById("by-stream");
		for (let i = 0; i < box.options.length; i++) {
			box.selectedIndex = i;
			box.dispatchEvent(new Event("input", { bubbles: true }));
		}
		box.selectedIndex = 0;
		box.dispatchEvent(new Event("input", { bubbles: true }));
		document.getElementById("ask-stream").selectedIndex = 1;
		document.getElementById("ask-line").value = "<img src=x onerror=window.pwned=1>";
		document.getElementById("ask-form").requestSubmit();
	})()`)
	b.waitFor(`document.getElementById("ask-answer").textContent.includes("<script>")`)
	b.waitFor(`[...document.querySelectorAll(".said")].filter((s) => s.textContent.includes("<script>")).length >= 4`)
	if over := value[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
		t.Errorf("a log line makes the page %d px too wide", over)
	}
	b.size(1280, 900, true)
	value[any](b, `document.getElementById("anomalies").scrollIntoView()`)
	b.screenshot("hostile")

	if pwned := value[bool](b, `"pwned" in window`); pwned {
		t.Error("a log line ran as a script")
	}
	alive := `[...document.querySelectorAll("#list *, #ask-answer *, #by-stream *, #ask-stream *")].map((e) => e.tagName).filter((n) => !["LI", "BUTTON", "TIME", "SPAN", "BDI", "CODE", "DIV", "DL", "DT", "DD", "P", "OPTION"].includes(n))`
	if tags := value[[]string](b, alive); len(tags) > 0 {
		t.Errorf("got elements %v; want none but the page's own", tags)
	}
	attributes := `[...new Set([...document.querySelectorAll("#list *, #ask-answer *")].flatMap((e) => e.getAttributeNames()))].filter((n) => n.startsWith("on") || n === "href" || n === "src" || n === "style")`
	if names := value[[]string](b, attributes); len(names) > 0 {
		t.Errorf("got attributes %v; want none", names)
	}
	// The texts themselves are there to be read, with what cannot be seen made visible.
	lines := value[[]string](b, shownLines)
	for text, want := range map[string]string{
		hostile[0]: hostile[0], hostile[2]: hostile[2],
		"abc\u202egnp.exe\u2066": `abc\u202egnp.exe\u2066`, "a\nb\r\nc\td": `a\nb\r\nc` + "\td",
		"\x1b[31mred\x1b[0m \x00\x07\b\b\b": `\x1b[31mred\x1b[0m \x00\x07\x08\x08\x08`, "\xff\xfe\xc3(": "���(",
	} {
		found := 0
		for _, line := range lines {
			if line == want {
				found++
			}
		}
		if found == 0 {
			t.Errorf("%q is not shown as %q", text, want)
		}
	}
	if got := value[string](b, `location.href`); got != url+"/" {
		t.Errorf("the page went to %s", got)
	}
	b.noFaultsBut(url, "409") // refused feedback
}

// testThePolicyHolds: what a fault in the page might do, the browser refuses.
func testThePolicyHolds(t *testing.T, b *tab) {
	_, url := known(t, view.Config{})
	b.goTo(url)
	for _, attempt := range []string{
		`document.body.innerHTML = "<img src=x onerror=window.pwned=1>"`,
		`document.body.insertAdjacentHTML("beforeend", "<b>x</b>")`,
		`document.write("<b>x</b>")`,
		`document.createElement("script").textContent = "window.pwned=1"`,
		`document.createElement("script").src = "https://evil.example/x.js"`,
		`document.createElement("iframe").srcdoc = "<b>x</b>"`,
		`document.createRange().createContextualFragment("<b>x</b>")`,
		`new DOMParser().parseFromString("<b>x</b>", "text/html")`,
	} {
		got := value[string](b, fmt.Sprintf(`(() => { try { %s; return "done"; } catch (e) { return e.name; } })()`, attempt))
		if got != "TypeError" {
			t.Errorf("%s: got %s; want it refused", attempt, got)
		}
	}
	refused := value[[]string](b, `(async () => {
		const said = [];
		document.addEventListener("securitypolicyviolation", (e) => said.push(e.effectiveDirective));
		const image = new Image();
		image.src = "https://evil.example/pixel.gif";
		document.body.append(image);
		const style = document.createElement("style");
		style.textContent = "body { color: red }";
		document.head.append(style);
		const frame = document.createElement("iframe");
		frame.src = "https://evil.example/";
		document.body.append(frame);
		await fetch("https://evil.example/").catch(() => {});
		try { new WebSocket("wss://evil.example/"); } catch {}
		for (let i = 0; i < 100 && said.length < 5; i++) await new Promise((r) => setTimeout(r, 20));
		return said.sort();
	})()`, chromedp.EvalAwaitPromise)
	if want := "connect-src connect-src frame-src img-src style-src-elem"; strings.Join(refused, " ") != want {
		t.Errorf("got refused %v; want %s", refused, want)
	}
}

// testAnotherSite: a page of another origin can neither watch, nor ask, nor frame the view.
func testAnotherSite(t *testing.T, b *tab) {
	hub, url := known(t, view.Config{
		Score: func(context.Context, string, []byte) (engine.Verdict, error) {
			t.Error("another site had a line scored")
			return engine.Verdict{}, nil
		},
		Feedback: func(context.Context, *view.Anomaly) (string, error) {
			t.Error("another site gave feedback")
			return "", nil
		},
	})
	hub.Observe(flagged("api", 0.9, engine.ReasonNovelty, "secret of the log"))
	b.run(chromedp.Navigate(elsewhere(t)))
	got := value[map[string]string](b, fmt.Sprintf(`(async () => {
		const url = %q, got = {};
		got.socket = await new Promise((done) => {
			const s = new WebSocket(url.replace("http", "ws") + "/ws");
			s.onmessage = () => done("read");
			s.onerror = () => done("refused");
		});
		for (const path of ["/score", "/feedback"]) {
			for (const type of ["text/plain", "application/json"]) {
				const body = path === "/score" ? '{"stream":"api","line":"x"}' : '{"id":1}';
				got[path + " " + type] = await fetch(url + path, { method: "POST", headers: { "Content-Type": type }, body }).then(() => "read", () => "refused");
				got[path + " no-cors"] = await fetch(url + path, { method: "POST", mode: "no-cors", body }).then((r) => r.type, () => "refused");
			}
		}
		got.page = await fetch(url + "/").then(() => "read", () => "refused");
		got.frame = await new Promise((done) => {
			const f = document.createElement("iframe");
			f.onload = () => { try { done(f.contentDocument ? "empty" : "refused"); } catch { done("refused"); } };
			f.src = url;
			document.body.append(f);
		});
		return got;
	})()`, url), chromedp.EvalAwaitPromise)
	for what, came := range got {
		if came == "read" {
			t.Errorf("%s: another site could read the answer", what)
		}
	}
	if got["socket"] != "refused" {
		t.Errorf("got the socket %s; want it refused", got["socket"])
	}
	if !b.heard("frame-ancestors") {
		t.Errorf("got a frame, and the browser said %q; want it refused by frame-ancestors", b.said())
	}
}
