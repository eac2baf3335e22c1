package chunk

import "encoding/binary"

func isStr(c byte) bool { return c&0xe0 == 0xa0 || c >= codeStr8 && c <= codeStr32 }
func isBin(c byte) bool { return c >= codeBin8 && c <= codeBin32 }
func isExt(c byte) bool {
	return c >= codeExt8 && c <= codeExt32 || c >= codeFixExt1 && c <= codeFixExt16
}

// step returns where the scalar at pos ends, or where the first child of the
// container at pos starts and how many it has. ok is false where data is too
// short for that or no value starts at pos.
func step(data []byte, pos int) (next, children int, ok bool) {
	if pos >= len(data) {
		return pos, 0, false
	}
	switch c := data[pos]; {
	case c < 0x80 || c >= 0xe0:
		return pos + 1, 0, true
	case c < 0x90:
		return pos + 1, 2 * int(c&0x0f), true
	case c < 0xa0:
		return pos + 1, int(c & 0x0f), true
	case c == codeNever:
		return pos, 0, false
	case c >= codeArray16 && c <= codeMap32:
		start, n := payload(data, pos)
		if c >= codeMap16 {
			n *= 2
		}
		return start, n, start <= len(data)
	}
	start, n := payload(data, pos)
	return start + n, 0, n <= len(data)-start
}

// payload returns where the content of the value at pos starts and how many
// bytes (of a scalar), pairs or elements (of a container) it has. A header that
// data is too short for has its content start behind the end of data.
func payload(data []byte, pos int) (start, n int) {
	c := data[pos]
	lengthBytes := 0
	switch {
	case c < 0x80 || c >= 0xe0:
		return pos, 1
	case c < 0xa0:
		return pos + 1, int(c & 0x0f)
	case c < 0xc0:
		return pos + 1, int(c & 0x1f)
	case c <= codeTrue:
		return pos + 1, 0
	case c <= codeBin32:
		lengthBytes = 1 << (c - codeBin8)
	case c <= codeExt32:
		lengthBytes = 1 << (c - codeExt8)
	case c <= codeFloat64:
		return pos + 1, 4 << (c - codeFloat32)
	case c <= codeUint64:
		return pos + 1, 1 << (c - codeUint8)
	case c <= codeInt64:
		return pos + 1, 1 << (c - codeInt8)
	case c <= codeFixExt16:
		return pos + 2, 1 << (c - codeFixExt1)
	case c <= codeStr32:
		lengthBytes = 1 << (c - codeStr8)
	case c <= codeArray32:
		lengthBytes = 2 << (c - codeArray16)
	default:
		lengthBytes = 2 << (c - codeMap16)
	}
	start = pos + 1 + lengthBytes
	if start > len(data) {
		return start, 0
	}
	n = bigEndian(data[pos+1 : start])
	if c >= codeExt8 && c <= codeExt32 {
		start++ // the type
	}
	return start, n
}

func bigEndian(b []byte) int {
	switch len(b) {
	case 1:
		return int(b[0])
	case 2:
		return int(binary.BigEndian.Uint16(b))
	default:
		return int(binary.BigEndian.Uint32(b))
	}
}

// skip returns the end of the value at pos, however deep it is nested. ok is
// false where data is too short or no value starts.
func skip(data []byte, pos int) (end int, ok bool) {
	for pending := 1; pending > 0; pending-- {
		if pos < len(data) {
			// What most values are, before the switch of step.
			switch c := data[pos]; {
			case c < 0x80:
				pos++
				continue
			case c >= 0xa0 && c < 0xc0:
				pos += 1 + int(c&0x1f)
				continue
			case c == codeStr8 && pos+1 < len(data):
				pos += 2 + int(data[pos+1])
				continue
			}
		}
		next, children, ok := step(data, pos)
		if !ok || children > len(data)-next {
			return pos, false
		}
		pos = next
		pending += children
	}
	return min(pos, len(data)), pos <= len(data)
}
