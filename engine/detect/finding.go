package detect

// Code says which observation a finding is.
type Code uint8

// The codes.
const (
	None Code = iota
	NewTemplate
	Burst
	Outlier
	NewValue
	NewNetwork
	Unexpected // a template that such sessions do not have
	Disorder   // a template before one that it always follows
	Request    // an unusual web request
	NewRoute   // a method and path that no request had before
	Failing    // many requests of one status of failure
	Transition // a template right after one that it never follows
	Mismatch   // numbers that do not go together
	Marked     // a record that a person called anomalous
	Codes
)

// Finding is one detector's observation about a record.
type Finding struct {
	Code Code
	// Nats is the calibrated surprise.
	Nats float64
	// Slot is the parameter concerned, where one is.
	Slot int
}

// Better returns the more surprising of two findings; the first on a tie.
func Better(a, b Finding) Finding {
	if b.Nats > a.Nats {
		return b
	}
	return a
}
