package drain

// innerObject reads line[i:end], a JSON object within a JSON string, as Docker
// writes the lines of a container: its quotes are \". Without emit it only
// says whether it is one. Objects within it are values.
func (s *scanner) innerObject(i, end int, emit bool) bool {
	b := s.line[:end]
	if i >= end || b[i] != '{' {
		return false
	}
	for i = skipSpaces(b, i+1); ; {
		key := innerString(b, i)
		if key == 0 || key >= end || b[key] != ':' {
			return false
		}
		from := skipSpaces(b, key+1)
		to := innerValue(b, from)
		if to == 0 {
			return false
		}
		if emit && s.words < tokensMax && len(s.params) < paramsMax {
			if value := innerString(b, from); value == to {
				s.field(b[i+2:key-2], from+2, to-2)
			} else {
				s.field(b[i+2:key-2], from, to)
			}
		}
		if i = skipSpaces(b, to); i >= end {
			return false
		}
		if b[i] == '}' {
			return skipSpaces(b, i+1) == end
		}
		if b[i] != ',' {
			return false
		}
		i = skipSpaces(b, i+1)
	}
}

// innerString is the end of the \"string\" at i, zero if there is none.
func innerString(b []byte, i int) int {
	if i+1 >= len(b) || b[i] != '\\' || b[i+1] != '"' {
		return 0
	}
	for j := i + 2; j+1 < len(b); {
		switch {
		case b[j] != '\\':
			j++
		case b[j+1] == '"':
			return j + 2
		case b[j+1] != '\\':
			j += 2
		case j+2 < len(b) && b[j+2] == '\\':
			j += 4 // \\\" or \\\\: one backslash, and what it escapes
		default:
			j += 3 // \\n
		}
	}
	return 0
}

// innerValue is the end of the value at i, zero if there is none.
func innerValue(b []byte, i int) int {
	if end := innerString(b, i); end > 0 {
		return end
	}
	depth := 0
	for j := i; j < len(b); j++ {
		switch b[j] {
		case '\\':
			end := innerString(b, j)
			if end == 0 {
				return 0
			}
			j = end - 1
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				if j == i {
					return 0
				}
				return j
			}
			if b[j] != ',' {
				depth--
			}
		}
	}
	return 0
}
