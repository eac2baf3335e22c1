package drain

// levelOf is the level that a word names in any usual spelling, NoLevel if none.
func levelOf(word []byte) Level {
	if len(word) < 3 || len(word) > 11 {
		return NoLevel
	}
	var buf [11]byte
	for i, c := range word {
		if !isAlpha(c) {
			return NoLevel
		}
		buf[i] = c | 0x20
	}
	switch string(buf[:len(word)]) {
	case "trace", "finest", "finer", "trc", "verbose":
		return Trace
	case "debug", "dbg", "fine":
		return Debug
	case "info", "information", "inf", "log", "config":
		return Info
	case "notice", "note":
		return Notice
	case "warn", "warning", "wrn":
		return Warn
	case "error", "err", "severe", "failure", "eror":
		return Error
	case "critical", "crit", "fatal", "alert", "emerg", "emergency", "panic", "ftl", "crt":
		return Critical
	}
	return NoLevel
}

// levelOfLetter is the level of logcat's single letters.
func levelOfLetter(c byte) Level {
	switch c {
	case 'V':
		return Trace
	case 'D':
		return Debug
	case 'I':
		return Info
	case 'W':
		return Warn
	case 'E':
		return Error
	case 'F':
		return Critical
	}
	return NoLevel
}

// levelOfNumber is the level of a number: syslog's 0 to 7, or bunyan's and pino's 10 to 60.
func levelOfNumber(n int) Level {
	switch {
	case n < 0:
		return NoLevel
	case n <= 2:
		return Critical
	case n <= 7:
		return [...]Level{Error, Warn, Notice, Info, Debug}[n-3]
	case n%10 == 0 && n <= 60:
		return [...]Level{Trace, Debug, Info, Warn, Error, Critical}[n/10-1]
	}
	return NoLevel
}

// isShout says that the word is written in capitals only.
func isShout(word []byte) bool {
	for _, c := range word {
		if c-'A' >= 26 && c != '_' {
			return false
		}
	}
	return len(word) > 1
}
