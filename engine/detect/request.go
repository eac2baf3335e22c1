package detect

import (
	"bytes"
	"math"

	"github.com/cespare/xxhash/v2"
	"github.com/logscope/logscope/engine/drain"
)

// urlMax bounds the part of a field that is looked at.
const urlMax = 1024

// request is one parsed line of a web log in combined format or near it.
type request struct {
	client, method, url, referrer, agent []byte
	params                               []drain.Param // client, status, size, duration where they are there
	route                                uint64
}

// Keys of the parameters of a request.
var (
	clientKey  = []byte("client")
	numberKeys = [...][]byte{[]byte("status"), []byte("size"), []byte("duration")}
)

// methods that make a quoted string a request.
var methods = [...]string{"GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "TRACE", "TRACK", "PROPFIND", "CONNECT"}

// parse takes a line apart and tells whether it holds a request.
func (r *request) parse(line []byte) bool {
	at := bytes.IndexByte(line, '"')
	if at < 0 {
		return false
	}
	rest := line[at+1:]
	space := bytes.IndexByte(rest, ' ')
	if space < 3 || space > 10 || !isMethod(rest[:space]) {
		return false
	}
	r.method, rest = rest[:space], rest[space+1:]
	end := quoteEnd(rest)
	r.url = rest[:end]
	if i := bytes.LastIndexByte(r.url, ' '); i >= 0 && bytes.HasPrefix(r.url[i:], []byte(" HTTP/")) {
		r.url = r.url[:i]
	}
	rest = rest[min(end+1, len(rest)):]
	r.params, r.client, r.referrer, r.agent = r.params[:0], nil, nil, nil
	if i := bytes.IndexByte(line, ' '); i > 0 && i < at {
		r.client = line[:i]
		r.params = append(r.params, drain.Param{Value: line[:i], Kind: clientKind(line[:i]), Num: math.NaN(), Key: clientKey})
	}
	r.fields(rest)
	r.route = routeOf(r.method, r.url)
	return true
}

// fields reads what follows the request: numbers become parameters, the first
// quoted string is the referrer, the second the agent.
func (r *request) fields(rest []byte) {
	numbers, quoted := 0, 0
	for len(rest) > 0 && numbers < len(numberKeys) {
		switch {
		case rest[0] == ' ':
			rest = rest[1:]
			continue
		case rest[0] == '"':
			end := quoteEnd(rest[1:])
			if quoted == 0 {
				r.referrer = rest[1 : 1+end]
			} else if quoted == 1 {
				r.agent = rest[1 : 1+end]
			}
			quoted++
			rest = rest[min(end+2, len(rest)):]
			continue
		}
		end := bytes.IndexByte(rest, ' ')
		if end < 0 {
			end = len(rest)
		}
		if v, ok := decimal(rest[:end]); ok {
			r.params = append(r.params, drain.Param{Value: rest[:end], Kind: drain.Number, Num: v, Key: numberKeys[numbers]})
			numbers++
		}
		rest = rest[end:]
	}
}

func isMethod(b []byte) bool {
	for _, m := range methods {
		if string(b) == m {
			return true
		}
	}
	return false
}

// quoteEnd returns where the quoted string ends that b is the rest of.
func quoteEnd(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(b)
}

func clientKind(b []byte) drain.Kind {
	dots := 0
	for _, c := range b {
		switch {
		case c == '.':
			dots++
		case c < '0' || c > '9':
			return drain.Host
		}
	}
	if dots == 3 {
		return drain.IPv4
	}
	return drain.Host
}

// decimal reads a plain decimal number.
func decimal(b []byte) (v float64, ok bool) {
	scale := 0.0
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			v = v*10 + float64(c-'0')
			scale *= 10
		case c == '.' && scale == 0:
			scale = 1
		default:
			return 0, false
		}
	}
	if scale > 1 {
		v /= scale
	}
	return v, true
}

// routeOf hashes the method and the path with its identifiers masked: a
// segment of digits, or a long one with digits in it, stands for any.
func routeOf(method, url []byte) uint64 {
	var buf [256]byte
	key := append(buf[:0], method...)
	if i := bytes.IndexAny(url, "?;"); i >= 0 {
		url = url[:i]
	}
	for len(url) > 0 && len(key) < 200 {
		end := bytes.IndexByte(url[1:], '/') + 1
		if end == 0 {
			end = len(url)
		}
		seg := url[:end]
		digits := 0
		for _, c := range seg {
			if c >= '0' && c <= '9' {
				digits++
			}
		}
		if digits > 0 && (digits >= len(seg)-1 || len(seg) > 8) {
			seg = []byte("/#")
		}
		key = append(key, seg[:min(len(seg), 200)]...)
		url = url[end:]
	}
	return xxhash.Sum64(key)
}
