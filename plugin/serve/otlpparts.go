package serve

import "google.golang.org/protobuf/encoding/protowire"

// otlpKind is a message of OTLP logs (opentelemetry/proto/logs/v1).
type otlpKind uint8

const (
	otlpNone otlpKind = iota
	otlpRequest
	otlpResourceLogs
	otlpResource
	otlpEntityRef
	otlpScopeLogs
	otlpScope
	otlpRecord
	otlpKeyValue
	otlpAnyValue
	otlpArray
	otlpKVList
)

// field is the kind of message that a field holds; otlpNone: it holds none.
func (k otlpKind) field(n protowire.Number) otlpKind {
	switch {
	case k == otlpRequest && n == 1:
		return otlpResourceLogs
	case k == otlpResourceLogs && n == 1:
		return otlpResource
	case k == otlpResourceLogs && n == 2:
		return otlpScopeLogs
	case k == otlpResource && n == 3:
		return otlpEntityRef
	case k == otlpScopeLogs && n == 1:
		return otlpScope
	case k == otlpScopeLogs && n == 2:
		return otlpRecord
	case k == otlpResource && n == 1, k == otlpScope && n == 3, k == otlpRecord && n == 6, k == otlpKVList && n == 1:
		return otlpKeyValue
	case k == otlpRecord && n == 5, k == otlpKeyValue && n == 2, k == otlpArray && n == 1:
		return otlpAnyValue
	case k == otlpAnyValue && n == 5:
		return otlpArray
	case k == otlpAnyValue && n == 6:
		return otlpKVList
	}
	return otlpNone
}

// otlpDepthMax is how deep parts are counted; deeper ones come too few to a byte to matter.
const otlpDepthMax = 100

// countParts adds the messages in b, one of kind k, to parts, until there are
// more than max. What is malformed the decoder will say.
func countParts(b []byte, k otlpKind, depth, max int, parts *int) {
	for len(b) > 0 && *parts <= max && depth < otlpDepthMax {
		number, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		if wire != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, wire, b); n < 0 {
				return
			}
			b = b[n:]
			continue
		}
		val, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return
		}
		b = b[n:]
		if child := k.field(number); child != otlpNone {
			*parts++
			countParts(val, child, depth+1, max, parts)
		}
	}
}
