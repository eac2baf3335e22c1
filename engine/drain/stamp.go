package drain

// stamp is a point in time as it is written: parts that are not written are
// zero, so that a year-less syslog time and a bare clock can be completed from
// the lines before.
type stamp struct {
	year, month, day int
	clock            bool
	secs             int // of the day
	nanos            int
	zone             int // seconds east of UTC
	epoch            bool
	unix             int64 // seconds, with epoch
	level            Level // glog writes the level as the first letter of the time
}

const daySecs = 24 * 60 * 60

// readStamp reads a time that starts at b[i] and returns where it ends, zero
// if none starts there. Bare epochs and glog times count in a header only:
// inside a message they are numbers and words.
func readStamp(b []byte, i int, header bool, t *stamp) int {
	c := b[i]
	if c-'0' > 9 {
		if c-'A' > 'Z'-'A' || len(b) < i+8 {
			return 0
		}
		if header && len(b) > i+20 && isDigit(b[i+1]) {
			*t = stamp{}
			return readGlog(b, i, t)
		}
		if b[i+3] != ' ' && b[i+3] != ',' {
			return 0
		}
		*t = stamp{}
		return readWordDate(b, i, t)
	}
	*t = stamp{}
	switch n := digitsAt(b, i); n {
	case 1, 2:
		return readShortDate(b, i, n, t)
	case 4:
		return readYearDate(b, i, t)
	case 6, 8:
		return readCompactDate(b, i, n, t)
	case 10, 13, 16, 19:
		if header {
			return readEpoch(b, i, n, t)
		}
	}
	return 0
}

// readYearDate reads 2006-01-02, 2006/01/02 and 2006.01.02, with a clock behind it or not.
func readYearDate(b []byte, i int, t *stamp) int {
	if len(b) < i+8 {
		return 0
	}
	sep := b[i+4]
	if sep != '-' && sep != '/' && sep != '.' {
		return 0
	}
	month, p := readNumber(b, i+5, 2)
	if p == i+5 || p >= len(b) || b[p] != sep {
		return 0
	}
	day, end := readNumber(b, p+1, 2)
	if end == p+1 || !t.setDate(four(b, i), month, day) {
		return 0
	}
	return readClockBehind(b, end, t)
}

// readClockBehind reads the clock that may follow a date ending at i.
func readClockBehind(b []byte, i int, t *stamp) int {
	if i+1 >= len(b) {
		return endOfDate(b, i)
	}
	p := i
	switch b[i] {
	case 'T', 't', ' ', '_', ':', '-':
		p = i + 1
	default:
		return endOfDate(b, i)
	}
	for b[i] == ' ' && p < len(b) && b[p] == ' ' && p < i+3 {
		p++
	}
	if end := readClock(b, p, t); end > 0 {
		return readZone(b, end, t)
	}
	return endOfDate(b, i)
}

// endOfDate refuses a date that runs on into a longer word.
func endOfDate(b []byte, i int) int {
	if i < len(b) && (isAlnum(b[i]) || b[i] == '.' && i+1 < len(b) && isDigit(b[i+1])) {
		return 0
	}
	return i
}

// readClock reads 15:04:05, 15.04.05, 150405 and 9:4:5, with a fraction behind . , or : and AM or PM.
func readClock(b []byte, i int, t *stamp) int {
	var hour, min, sec, p int
	if digitsAt(b, i) == 6 {
		hour, min, sec, p = two(b, i), two(b, i+2), two(b, i+4), i+6
	} else {
		hour, p = readNumber(b, i, 2)
		if p == i || p+1 >= len(b) || b[p] != ':' && b[p] != '.' {
			return 0
		}
		sep, q := b[p], p+1
		if min, p = readNumber(b, q, 2); p == q || p+1 >= len(b) || b[p] != sep {
			return 0
		}
		q = p + 1
		if sec, p = readNumber(b, q, 2); p == q || p < len(b) && isDigit(b[p]) {
			return 0
		}
	}
	if hour > 23 || min > 59 || sec > 60 {
		return 0
	}
	t.clock, t.secs = true, hour*3600+min*60+sec
	p = readFraction(b, p, t)
	if p+2 < len(b) && b[p] == ' ' && b[p+2] == 'M' && (p+3 == len(b) || !isAlnum(b[p+3])) {
		if b[p+1] == 'P' && hour < 12 {
			t.secs += 12 * 3600
		}
		if b[p+1] == 'A' && hour == 12 {
			t.secs -= 12 * 3600
		}
		if b[p+1] == 'A' || b[p+1] == 'P' {
			p += 3
		}
	}
	return p
}

func readFraction(b []byte, i int, t *stamp) int {
	if i+1 >= len(b) || b[i] != '.' && b[i] != ',' && b[i] != ':' {
		return i
	}
	n := digitsAt(b, i+1)
	if n == 0 || n > 9 || b[i] == ':' && n != 3 {
		return i
	}
	scale := 100_000_000
	for _, c := range b[i+1 : i+1+n] {
		t.nanos += int(c-'0') * scale
		scale /= 10
	}
	return i + 1 + n
}

// readZone reads Z, +01:00, +0100, +01 and the usual abbreviations.
func readZone(b []byte, i int, t *stamp) int {
	if i >= len(b) {
		return i
	}
	if b[i] == 'Z' && (i+1 == len(b) || !isAlnum(b[i+1])) {
		return i + 1
	}
	p := i
	if b[p] == ' ' && p+1 < len(b) {
		p++
	}
	if b[p] == '+' || b[p] == '-' {
		n := digitsAt(b, p+1)
		end, min := p+1+n, 0
		switch {
		case n == 4:
			min = two(b, p+3)
		case n == 2 && p == i && end < len(b) && b[end] == ':' && digitsAt(b, end+1) == 2:
			min, end = two(b, end+1), end+3
		case n == 2 && p == i:
		default:
			return i
		}
		hour := two(b, p+1)
		if hour > 14 || min > 59 {
			return i
		}
		t.zone = hour*3600 + min*60
		if b[p] == '-' {
			t.zone = -t.zone
		}
		return end
	}
	end := p
	for end < len(b) && end < p+5 && b[end]-'A' < 26 {
		end++
	}
	if zone, ok := zoneOf(b[p:end]); ok && p > i && (end == len(b) || !isAlnum(b[end])) {
		t.zone = zone
		return end
	}
	return i
}

func zoneOf(name []byte) (secs int, ok bool) {
	switch string(name) {
	case "UTC", "GMT", "WET":
		return 0, true
	case "CET", "WEST", "BST":
		return 3600, true
	case "CEST", "EET":
		return 2 * 3600, true
	case "EEST", "MSK":
		return 3 * 3600, true
	case "JST", "KST":
		return 9 * 3600, true
	case "EDT":
		return -4 * 3600, true
	case "EST", "CDT":
		return -5 * 3600, true
	case "CST", "MDT":
		return -6 * 3600, true
	case "MST", "PDT":
		return -7 * 3600, true
	case "PST":
		return -8 * 3600, true
	}
	return 0, false
}

// readShortDate reads what starts with one or two digits: 02/Jan/2006:15:04:05,
// 06/01/02 15:04:05 (Spark), 01/02/2006, 02-Jan-2006, 2 Jan 2006 15:04:05,
// 01-02 15:04:05.000 (logcat), 10.30 16:49:06 and a bare clock.
func readShortDate(b []byte, i, n int, t *stamp) int {
	p := i + n
	if p+5 > len(b) {
		return 0
	}
	first, sep := int(b[i]-'0'), b[p]
	if n == 2 {
		first = two(b, i)
	}
	if sep == ':' {
		if end := readClock(b, i, t); end > 0 && n == 2 {
			return readZone(b, end, t)
		}
		return 0
	}
	if sep != '/' && sep != '-' && sep != '.' && sep != ' ' {
		return 0
	}
	if month := monthAt(b, p+1); month > 0 && p+4 < len(b) && (b[p+4] == sep) {
		if digitsAt(b, p+5) != 4 || !t.setDate(four(b, p+5), month, first) {
			return 0
		}
		return readClockBehind(b, p+9, t)
	}
	if sep == ' ' || n != 2 && sep != '/' {
		return 0
	}
	return readTwoDigitDate(b, i, first, sep, p+1, t)
}

func readTwoDigitDate(b []byte, i, first int, sep byte, p int, t *stamp) int {
	second, end := readNumber(b, p, 2)
	if end == p || end >= len(b) {
		return 0
	}
	if b[end] != sep {
		// Month and day alone are a date only with a clock behind them.
		if sep == '/' || !t.setDate(0, first, second) {
			return 0
		}
		if p = readClockBehind(b, end, t); !t.clock {
			return 0
		}
		return p
	}
	switch n := digitsAt(b, end+1); {
	case n == 4 && first <= 12 && t.setDate(four(b, end+1), first, second):
		return readClockBehind(b, end+5, t)
	case n == 4 && t.setDate(four(b, end+1), second, first):
		return readClockBehind(b, end+5, t)
	case n == 2 && sep != '.' && t.setDate(2000+first, second, two(b, end+1)),
		n == 2 && sep != '.' && t.setDate(2000+two(b, end+1), first, second):
		p = readClockBehind(b, end+3, t)
		if !t.clock {
			return 0
		}
		return p
	}
	return 0
}

// readCompactDate reads 060102 150405 (HDFS), 060102 15:04:05, 20060102150405 apart and 20060102-15:04:05:000.
func readCompactDate(b []byte, i, n int, t *stamp) int {
	p := i + n
	if p+1 >= len(b) || b[p] != ' ' && b[p] != 'T' && b[p] != '-' && b[p] != '_' {
		return 0
	}
	year := 2000 + two(b, i)
	if n == 8 {
		year = four(b, i)
	}
	if !t.setDate(year, two(b, p-4), two(b, p-2)) {
		return 0
	}
	p = readClockBehind(b, p, t)
	if !t.clock {
		return 0
	}
	return p
}

func readEpoch(b []byte, i, n int, t *stamp) int {
	const first, last = 946_684_800, 4_102_444_800 // 2000 to 2100
	var v int64
	for _, c := range b[i : i+10] {
		v = v*10 + int64(c-'0')
	}
	if v < first || v > last {
		return 0
	}
	scale := 100_000_000
	for _, c := range b[i+10 : i+n] {
		t.nanos += int(c-'0') * scale
		scale /= 10
	}
	t.epoch, t.unix = true, v
	if n > 10 {
		return i + n
	}
	return readFraction(b, i+n, t)
}

// readGlog reads I0102 15:04:05.678901.
func readGlog(b []byte, i int, t *stamp) int {
	if digitsAt(b, i+1) != 4 || b[i+5] != ' ' {
		return 0
	}
	switch b[i] {
	case 'D':
		t.level = Debug
	case 'I':
		t.level = Info
	case 'W':
		t.level = Warn
	case 'E':
		t.level = Error
	case 'F':
		t.level = Critical
	default:
		return 0
	}
	if !t.setDate(0, two(b, i+1), two(b, i+3)) {
		return 0
	}
	return readClock(b, i+6, t)
}

// readWordDate reads Jun 14 15:16:01, Sun Dec 04 04:47:44 2005, Mon, 02 Jan 2006 15:04:05 MST and Jan 2 2006 15:04:05.
func readWordDate(b []byte, i int, t *stamp) int {
	p := i
	if weekdayAt(b, p) {
		p += 3
		if p < len(b) && b[p] == ',' {
			p++
		}
		if p >= len(b) || b[p] != ' ' {
			return 0
		}
		p = skipSpaces(b, p)
		if p < len(b) && isDigit(b[p]) {
			if end := readShortDate(b, p, digitsAt(b, p), t); t.month > 0 {
				return end
			}
			return 0
		}
	}
	month := monthAt(b, p)
	if month == 0 || p+4 >= len(b) || b[p+3] != ' ' {
		return 0
	}
	p = skipSpaces(b, p+3)
	day, end := readNumber(b, p, 2)
	if end == p || end >= len(b) || b[end] == ':' || !t.setDate(0, month, day) {
		return 0
	}
	if b[end] == ',' {
		end++
	}
	p = skipSpaces(b, end)
	if digitsAt(b, p) == 4 {
		t.year = four(b, p)
		return readClockBehind(b, p+4, t)
	}
	if end = readClock(b, p, t); end == 0 {
		return 0
	}
	end = readZone(b, end, t)
	if end < len(b) && b[end] == ' ' && digitsAt(b, end+1) == 4 && plausibleYear(four(b, end+1)) {
		t.year = four(b, end+1)
		end += 5
	}
	return end
}

func plausibleYear(y int) bool { return y >= 1970 && y < 2200 }

func (t *stamp) setDate(year, month, day int) bool {
	if month < 1 || month > 12 || day < 1 || day > 31 || year != 0 && !plausibleYear(year) {
		return false
	}
	t.year, t.month, t.day = year, month, day
	return true
}

// unixNanos is the time in Unix nanoseconds, in the given year where none was written.
func (t *stamp) unixNanos(year int) int64 {
	if t.epoch {
		return t.unix*1e9 + int64(t.nanos)
	}
	if t.year != 0 {
		year = t.year
	}
	secs := daysOf(year, t.month, t.day)*daySecs + int64(t.secs-t.zone)
	return secs*1e9 + int64(t.nanos)
}

// daysOf counts the days from 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
func daysOf(y, m, d int) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*((m+9)%12)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}

func monthAt(b []byte, i int) int {
	if i+3 > len(b) {
		return 0
	}
	switch string(b[i : i+3]) {
	case "Jan", "JAN":
		return 1
	case "Feb", "FEB":
		return 2
	case "Mar", "MAR":
		return 3
	case "Apr", "APR":
		return 4
	case "May", "MAY":
		return 5
	case "Jun", "JUN":
		return 6
	case "Jul", "JUL":
		return 7
	case "Aug", "AUG":
		return 8
	case "Sep", "SEP":
		return 9
	case "Oct", "OCT":
		return 10
	case "Nov", "NOV":
		return 11
	case "Dec", "DEC":
		return 12
	}
	return 0
}

func weekdayAt(b []byte, i int) bool {
	if i+3 > len(b) {
		return false
	}
	switch string(b[i : i+3]) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

func digitsAt(b []byte, i int) int {
	n := 0
	for i+n < len(b) && n < 20 && isDigit(b[i+n]) {
		n++
	}
	return n
}

// readNumber reads up to max digits.
func readNumber(b []byte, i, max int) (v, end int) {
	for end = i; end < len(b) && end < i+max && isDigit(b[end]); end++ {
		v = v*10 + int(b[end]-'0')
	}
	return v, end
}

func two(b []byte, i int) int { return int(b[i]-'0')*10 + int(b[i+1]-'0') }

func four(b []byte, i int) int { return two(b, i)*100 + two(b, i+2) }

func isDigit(c byte) bool { return c-'0' <= 9 }

func isAlpha(c byte) bool { return (c|0x20)-'a' < 26 }

func isAlnum(c byte) bool { return isDigit(c) || isAlpha(c) }

func isSpace(c byte) bool { return c <= ' ' }

func skipSpaces(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}
