package engine_test

import (
	"fmt"

	"github.com/logscope/logscope/engine"
)

// A model learns what is usual from the records alone; here a payment service
// whose lines are all alike, until one is not.
func Example() {
	e, err := engine.New(engine.DefaultConfig())
	if err != nil {
		panic(err)
	}
	var recs []engine.Record
	start := int64(1_700_000_000_000_000_000)
	add := func(format string, args ...any) {
		at := start + int64(len(recs))*1e9
		recs = append(recs, engine.Record{Stream: "payment", Time: at, Line: fmt.Appendf(nil, format, args...)})
	}
	for i := range 4000 {
		add("INFO charged card of order %d in %d ms", 70000+i*7919%20011, 40+i*13%30)
	}
	add("INFO charged card of order 81234 in 55 ms")
	add("INFO charged card of order 80211 in 9120 ms")
	add("ERROR bank refused the connection")

	verdicts := e.Score(nil, recs)
	for _, v := range verdicts[4000:] {
		fmt.Printf("%.2f %v %q\n", v.Score, v.Anomaly, v.Reason)
		if v.Anomaly {
			fmt.Println("  ", v.Explanation)
		}
	}
	// Output:
	// 0.00 false ""
	// 0.72 true "parameter"
	//    variable 2 is "9120 ms", 164 times the median; of 4,001 values before, nine in ten were up to 66.8 ms and the highest was 69 ms.
	// 0.70 true "novelty"
	//    first line like this in 4,003 records; about one in 8,000 is of a new kind. Read the line: nobody has seen its like here.
}
